import type { Clock } from '../../base/clock.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import { queuedRunsMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { RunLogs } from '../logs/logs.ts'
import { repetitionOf } from '../runs/recovery.ts'
import { isEnded, type Run, type Trigger } from '../runs/run.ts'
import { endRun, newRun } from '../runs/run-machine.ts'
import type { RunStore } from '../runs/run-store.ts'
import type { RunQueue } from './queue.ts'

export interface SubmissionsParts {
  readonly catalogue: Pick<Catalogue, 'pipelines' | 'pipeline'>
  readonly store: RunStore
  readonly queue: Pick<RunQueue, 'pump'>
  readonly logs: Pick<RunLogs, 'remove'>
  readonly newId: () => string
  readonly clock: Clock
  readonly log: Logger
}

export interface SubmitOptions {
  readonly trigger?: Trigger
}

/** The way into the queue. A run that has come in is on the disk. */
export class Submissions {
  readonly #parts: SubmissionsParts

  constructor(parts: SubmissionsParts) {
    this.#parts = parts
  }

  /** @throws NodeError PIPELINE_NOT_FOUND, QUEUE_FULL */
  async submit(pipeline: string, options: SubmitOptions = {}): Promise<Run> {
    const { catalogue, newId, clock } = this.#parts
    const { steps: plan } = catalogue.pipeline(pipeline)
    const trigger = options.trigger ?? { kind: 'request' }
    return this.#enqueue(newRun({ id: newId(), pipeline, plan, trigger, timeMs: clock.now() }))
  }

  /**
   * Queues the same again, for the same slot and without the steps that are done; a run that succeeded is repeated
   * whole and for a slot of its own.
   *
   * @throws NodeError RUN_NOT_FOUND, CONFLICT while it has not ended, QUEUE_FULL.
   */
  async repeat(id: string): Promise<Run> {
    const { store, newId, clock } = this.#parts
    const run = store.get(id)
    if (!isEnded(run)) throw new NodeError('CONFLICT', `Run ${id} has not ended; cancel it first`, { id })
    return this.#enqueue(repetitionOf(run, newId(), clock.now()))
  }

  /** A schedule whose pipeline is gone makes a run too, one that says so: a time that passed in silence helps nobody. */
  async fire(pipeline: string, slot: number): Promise<void> {
    const { catalogue, store, newId, clock } = this.#parts
    const trigger: Trigger = { kind: 'schedule', slot }
    if (catalogue.pipelines.get(pipeline) !== undefined) {
      await this.submit(pipeline, { trigger })
      return
    }
    const timeMs = clock.now()
    const run = newRun({ id: newId(), pipeline, plan: [], trigger, timeMs })
    const reason = `The schedule names the pipeline ${pipeline}, which is not in the registry`
    await store.save(endRun(run, 'rejected', { timeMs, reason, code: 'PIPELINE_NOT_FOUND' }))
  }

  /** The newest slot for which this node has a run of the pipeline. */
  lastSlotRun(pipeline: string): number | undefined {
    const slots = this.#parts.store
      .list()
      .filter((run) => run.pipeline === pipeline)
      .map(({ trigger }) => (trigger.kind === 'request' ? undefined : trigger.slot))
      .filter((slot) => slot !== undefined)
    return slots.length === 0 ? undefined : Math.max(...slots)
  }

  async #enqueue(run: Run): Promise<Run> {
    const { store, queue } = this.#parts
    const queued = store.list().filter(({ state }) => state === 'queued').length
    if (queued >= queuedRunsMax) {
      throw new NodeError('QUEUE_FULL', `${queued} runs wait already; try again when some have ended`)
    }
    await store.save(run)
    await this.#forgetOld()
    queue.pump()
    return run
  }

  async #forgetOld(): Promise<void> {
    const { store, logs, log } = this.#parts
    try {
      for (const id of await store.prune()) await logs.remove(id)
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'old runs were not forgotten')
    }
  }
}
