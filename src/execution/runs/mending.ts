/** How a run goes on whose record could not be written while it was at work. */
import type { Break } from '../queue/broken-runs.ts'
import type { Recovery } from './recovery.ts'
import { isEnded, type Run } from './run.ts'
import { currentStep, endRun, finishStep } from './run-machine.ts'
import type { RunStore } from './run-store.ts'

export interface MendingParts {
  readonly store: Pick<RunStore, 'get' | 'save'>
  readonly recovery: Pick<Recovery, 'commitFound'>
  readonly clock: { now(): number }
}

/**
 * Ends the run as `errored`, or as cancelled where somebody wished that, with the commit that it may have made; one that
 * was in the queue stays there. That it is written shows that records can be written again.
 *
 * @throws NodeError STORE_FAILED while they cannot.
 */
export async function mendRun(parts: MendingParts, id: string, found: Break): Promise<void> {
  const { store, recovery, clock } = parts
  const run = store.get(id)
  if (isEnded(run)) return
  if (run.state === 'queued' && !found.cancelled) return store.save(run)
  const patch = await recovery.commitFound(run)
  const publishes = (run.plan[currentStep(run)]?.publish ?? []).length > 0
  const isDone = patch !== undefined && !publishes
  const known: Run = isDone ? finishStep(run, clock.now(), patch) : run
  const timeMs = clock.now()
  if (currentStep(known) === known.steps.length) {
    const reason = `found complete after its record could not be written: ${found.why}`
    return store.save(endRun(known, 'succeeded', { timeMs, reason }))
  }
  const learned = isDone || patch === undefined ? {} : { patch }
  const end = found.cancelled
    ? endRun(known, 'cancelled', { timeMs, reason: 'cancelled on request', code: 'CANCELLED', ...learned })
    : endRun(known, 'errored', { timeMs, reason: found.why, code: 'STORE_FAILED', ...learned })
  await store.save(end)
}
