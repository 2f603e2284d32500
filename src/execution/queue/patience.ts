/** How long a queued run waits, and how it ends when that is over. Pure. */
import type { Run } from '../runs/run.ts'
import { endRun } from '../runs/run-machine.ts'
import type { Wait } from './allocator.ts'
import { hasBegun, heldUntilMs } from './needs.ts'
import { timeText } from './waiting-words.ts'

/** Since when it could have begun, as far as it was up to the run. */
export function readySinceMs(run: Pick<Run, 'transitions' | 'createdMs' | 'notBeforeMs'>): number {
  const sinceMs = run.transitions.at(-1)?.timeMs ?? run.createdMs
  return Math.max(sinceMs, run.notBeforeMs ?? 0)
}

/** When its patience ends: one that waits to begin a step again is given as much again as it was at first. */
export function patientUntilMs(run: Run): number {
  if (run.waitUntilMs === undefined) return Number.POSITIVE_INFINITY
  if (!hasBegun(run)) return run.waitUntilMs
  return readySinceMs(run) + run.waitUntilMs - run.createdMs
}

/** The run as it ends when it has waited too long; undefined while it may go on waiting. */
export function lateEnd(
  run: Run,
  p: {
    wait: Wait | undefined
    /** Since when the last of the engines that are down does not answer, and when it was asked last. */
    down: { readonly sinceMs: number; readonly askedMs: number } | undefined
    engineWaitMs: number
    nowMs: number
  },
): Run | undefined {
  const { wait, down, engineWaitMs, nowMs: timeMs } = p
  const untilMs = patientUntilMs(run)
  if (timeMs >= untilMs) {
    const why = wait === undefined ? '' : `; it ${waited(wait)}`
    const reason = `waited longer than it was to, until ${timeText(untilMs)}${why}`
    return endRun(run, 'timed-out', { timeMs, reason, code: 'TIMED_OUT' })
  }
  const saidMs = readySinceMs(run)
  // What a clock said that has been set back since is no measure.
  const readyMs = saidMs > timeMs ? 0 : saidMs
  // Nobody is sent away by an engine that was not asked for it.
  if (wait?.kind !== 'engine' || down === undefined || down.askedMs <= readyMs) return undefined
  if (timeMs - Math.max(readyMs, down.sinceMs) < engineWaitMs) return undefined
  return endRun(run, 'errored', { timeMs, reason: wait.why, code: 'ENGINE_UNAVAILABLE' })
}

function waited({ why }: Wait): string {
  return `waited because ${why}`
}

/** When a queued run may begin or has waited too long next, ms since the epoch; infinite when nothing comes by itself. */
export function nextWakeMs(queued: readonly Run[], nowMs: number): number {
  let next = Number.POSITIVE_INFINITY
  for (const run of queued) {
    next = Math.min(next, heldUntilMs(run, nowMs) ?? next, patientUntilMs(run))
  }
  return next
}
