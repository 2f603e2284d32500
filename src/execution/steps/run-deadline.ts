import type { Clock } from '../../base/clock.ts'
import { NodeError } from '../../base/errors.ts'
import type { Run } from '../runs/run.ts'

/** How far back a chain of repetitions is followed: recovery itself makes no longer one. */
const REPETITIONS_MAX = 8

/**
 * When a run began: at the first start of its first step. A run that was cut by a crash and is repeated at the next start
 * goes on under another id, so that the time of both counts; it is told from one that a person repeats by its birth in
 * the very moment in which the first one was told lost. Undefined while it has not begun. Pure.
 */
export function beganMsOf(run: Run, find: (id: string) => Run | undefined): number | undefined {
  let began: number | undefined
  let at: Run | undefined = run
  for (let links = 0; at !== undefined && links < REPETITIONS_MAX; links += 1) {
    began = at.transitions.find(({ state }) => state === 'pulling')?.timeMs ?? began
    const earlier: Run | undefined = at.trigger.kind === 'repeat' ? find(at.trigger.of) : undefined
    at = earlier?.state === 'lost' && earlier.endedMs === at.createdMs ? earlier : undefined
  }
  return began
}

/** Aborts with NodeError TIMED_OUT when the run has had its time; `stop` lets go of the timer. */
export function runDeadline(p: {
  run: Run
  find: (id: string) => Run | undefined
  /** What the node gives a run that does not say. */
  timeoutMs: number
  clock: Clock
}): { signal: AbortSignal; stop: () => void } {
  const { run, find, clock } = p
  const timeoutMs = run.timeoutMs ?? p.timeoutMs
  const controller = new AbortController()
  const leftMs = (beganMsOf(run, find) ?? clock.now()) + timeoutMs - clock.now()
  const late = () => {
    const message = `the run took longer than ${timeoutMs / 1_000} s, counted from its first start`
    controller.abort(new NodeError('TIMED_OUT', message, { timeoutMs }))
  }
  if (leftMs <= 0) late()
  const timer = setTimeout(late, Math.max(0, leftMs))
  return { signal: controller.signal, stop: () => clearTimeout(timer) }
}
