/**
 * Carries one run from the queue to its end. Before anything takes effect (a pull, a container, a commit) the state
 * that names it is on the disk; whatever happens in between, a failure, a limit, a cancel, a stop of the node, becomes
 * exactly one truthful end.
 */
import { isNodeError, messageOf } from '../../base/errors.ts'
import { loseRun } from '../runs/recovery.ts'
import { endStateOf, retryOfRun } from '../runs/retries.ts'
import { isEnded, type Run } from '../runs/run.ts'
import { currentStep, endRun, retryStep } from '../runs/run-machine.ts'
import { preflight } from './preflight.ts'
import { runDeadline } from './run-deadline.ts'
import { endOfAbort, nearestEnd, type Outcome } from './step-end.ts'
import type { StepParts } from './step-parts.ts'
import { StepRunner } from './step-runner.ts'

export type { RunnerDatasets } from './step-parts.ts'

export interface RunnerParts extends StepParts {
  readonly newId: () => string
}

export class Runner {
  readonly #parts: RunnerParts
  readonly #steps: StepRunner

  constructor(parts: RunnerParts) {
    this.#parts = parts
    this.#steps = new StepRunner(parts)
  }

  /** Resolves when the run has ended, or waits to be tried again. @throws NodeError STORE_FAILED when that could not be written down. */
  async run(id: string, cut: AbortSignal): Promise<void> {
    const { store, settings, clock, log } = this.#parts
    const find = (other: string) => store.find(other)
    const deadline = runDeadline({ run: store.get(id), find, timeoutMs: settings.runTimeoutMs, clock })
    try {
      const outcome = await this.#outcomeOf(id, AbortSignal.any([cut, deadline.signal]))
      if (outcome?.state === 'errored' && (await this.#again(store.get(id), outcome))) return
      await this.#end(store.get(id), outcome)
    } finally {
      deadline.stop()
    }
    const { pipeline, state, reason } = store.get(id)
    log.info({ run: id, pipeline, state, reason }, 'a run has ended')
  }

  /** Puts a run that the machinery failed back into the queue, as often as the bound allows. @returns whether it did. */
  async #again(run: Run, { code, reason: why }: Outcome): Promise<boolean> {
    const { store, settings, clock, log } = this.#parts
    const timeMs = clock.now()
    const retry = retryOfRun({ run, code, nowMs: timeMs, ...settings })
    if (retry === undefined) return false
    const { notBeforeMs, retries } = retry
    const reason = `tried again (${retries} of ${settings.retriesMax}): ${why}`
    await store.save(retryStep(run, { timeMs, notBeforeMs, reason }))
    log.warn({ run: run.id, code, retries, notBeforeMs }, 'a step that the machinery failed is tried again')
    return true
  }

  async #end(run: Run, outcome: Outcome | undefined): Promise<void> {
    const { store, clock } = this.#parts
    const timeMs = clock.now()
    if (isEnded(run)) return
    if (outcome === undefined) return store.save(endRun(run, 'succeeded', { timeMs }))
    if (outcome.state === 'lost') return this.#lose(run, outcome)
    const { reason, code, patch = {} } = outcome
    const state = nearestEnd(run, outcome.state)
    await store.save(endRun(run, state, { timeMs, reason, patch, ...(code === undefined ? {} : { code }) }))
  }

  /** The steps one after another; undefined when all of them succeeded. */
  async #outcomeOf(id: string, signal: AbortSignal): Promise<Outcome | undefined> {
    const { store, log } = this.#parts
    try {
      await this.#refuseEarly(store.get(id))
      for (;;) {
        const run = store.get(id)
        // Looked at first: a run whose last step has been committed succeeded, whatever was wished meanwhile.
        if (currentStep(run) === run.steps.length) return undefined
        signal.throwIfAborted()
        const outcome = await this.#steps.run(id, currentStep(run), signal)
        if (outcome !== undefined) return outcome
      }
    } catch (error) {
      if (signal.aborted) return endOfAbort(signal)
      if (isNodeError(error, 'STORE_FAILED')) throw error
      const code = isNodeError(error) ? error.code : 'INTERNAL'
      if (code === 'INTERNAL') log.error({ run: id, err: error }, 'a run met a defect')
      return { state: endStateOf(code), reason: messageOf(error), code }
    }
  }

  /** What can be known before anything has been done is told before anything has been done. */
  async #refuseEarly(run: Run): Promise<void> {
    const [first] = await preflight(run, this.#parts)
    if (first !== undefined) throw first.error
  }

  async #lose(run: Run, outcome: Outcome): Promise<void> {
    const { store, settings, newId, clock } = this.#parts
    // A run that had not begun simply waits in the queue for the next start.
    if (run.state === 'queued') return
    // Its commit may stand: the next start looks, and goes on from there.
    if (run.state === 'committing') return
    const repeated = run.trigger.kind === 'repeat' ? store.find(run.trigger.of) : undefined
    const { reason } = outcome
    const repeat = settings.repeatLost
    await store.save(...loseRun({ run, repeated, repeat, newId, timeMs: clock.now(), reason }))
  }
}
