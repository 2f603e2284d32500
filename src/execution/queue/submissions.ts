import type { Clock } from '../../base/clock.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import { queuedRunsMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { RunLogs } from '../logs/logs.ts'
import { isRepeatable, repetitionOf } from '../runs/recovery.ts'
import { type InputPin, isEnded, type Run, type Trigger } from '../runs/run.ts'
import { newRun, type RunTerms } from '../runs/run-machine.ts'
import type { RunStore } from '../runs/run-store.ts'
import type { RunQueue } from './queue.ts'
import { requestDigestOf } from './request-digest.ts'
import type { QueueSettings } from './settings.ts'
import { OWN, ownerOf } from './turns.ts'

export interface SubmissionsParts {
  readonly catalogue: Pick<Catalogue, 'plan' | 'checkServices'>
  readonly store: RunStore
  readonly queue: Pick<RunQueue, 'pump' | 'checkPossible'>
  readonly settings: Pick<QueueSettings, 'waitMsMax' | 'queuedPerOwner'>
  readonly logs: Pick<RunLogs, 'remove'>
  readonly newId: () => string
  readonly clock: Clock
  readonly log: Logger
}

export interface SubmitOptions {
  /** Default: a request of this node's own people. */
  readonly trigger?: Trigger
  /** Whose turn it takes: `node`, or the peer id of the member that asks. Default: `node`. */
  readonly owner?: string
  /** -100 to 100; higher goes first. Default: 0. */
  readonly priority?: number
  /** The time that the results are for, ms since the epoch, where the trigger does not say it. */
  readonly slot?: number
  /**
   * What the asker calls this request, at most 200 characters: asking again under it gives the run that the first one
   * made, for as long as the run is remembered. Keys of different owners do not meet.
   */
  readonly requestKey?: string
  /** Longest wait in the queue, ms; then it ends as `timed-out`. Default: the setting `execution.queue.waitMsMax`. */
  readonly waitMsMax?: number
  /** Longest time from the first step's beginning to the end, ms. */
  readonly timeoutMs?: number
  /** It does not start before, ms since the epoch. */
  readonly notBeforeMs?: number
  /** Read these commits instead of the ground truth: dataset → commit. */
  readonly inputCommits?: Readonly<Record<string, string>>
  /** Run these images instead of what the tools name now: tool → digest. */
  readonly imageDigests?: Readonly<Record<string, string>>
  /** See `Run.inputPins`. */
  readonly inputPins?: Readonly<Record<string, readonly InputPin[]>>
  /** See `Run.bases`. */
  readonly bases?: Readonly<Record<string, string | null>>
}

/** A plan that stands in no registry, or no longer: another member's, or that of an earlier run. */
export interface NamedPlan {
  readonly name: string
  readonly steps: readonly PipelineStep[]
  /** See `Run.author`. */
  readonly author?: string | undefined
}

/** The way into the queue. A run that has come in is on the disk. */
export class Submissions {
  readonly #parts: SubmissionsParts
  /** Requests under a key that are being stored, so that two at one instant make one run. */
  readonly #keyed = new Map<string, Promise<Run>>()
  /** Runs that are being stored count as waiting, so that the bounds hold against many at one instant. */
  readonly #coming = new Map<string, Run>()

  constructor(parts: SubmissionsParts) {
    this.#parts = parts
  }

  /**
   * Queues a run of a pipeline of the registry.
   *
   * @throws NodeError PIPELINE_NOT_FOUND, QUEUE_FULL, CONFLICT when the key stands for another request.
   */
  async submit(pipeline: string, options: SubmitOptions = {}): Promise<Run> {
    const digest = requestDigestOf({ pipeline }, options)
    const scheduled = options.trigger?.kind === 'schedule'
    return this.#once(digest, options, () => this.#parts.catalogue.plan(pipeline, { scheduled }))
  }

  /** Queues a run of the plan itself. @throws NodeError QUEUE_FULL, CONFLICT when the key stands for another request. */
  async submitPlan(plan: NamedPlan, options: SubmitOptions = {}): Promise<Run> {
    return this.#once(requestDigestOf({ plan }, options), options, () => plan)
  }

  /**
   * Queues the same again, for the same slot and without the steps that are done; a run that succeeded is repeated
   * whole and for a slot of its own.
   *
   * @throws NodeError RUN_NOT_FOUND, CONFLICT while it has not ended, QUEUE_FULL.
   */
  async repeat(id: string): Promise<Run> {
    const { store, newId, clock, settings } = this.#parts
    const run = store.get(id)
    if (!isEnded(run)) throw new NodeError('CONFLICT', `Run ${id} has not ended; cancel it first`, { id })
    if (!isRepeatable(run)) {
      const message = `Run ${id} compares what comes out of another one; compare again with "maoctl run rerun"`
      throw new NodeError('CONFLICT', message, { id })
    }
    const timeMs = clock.now()
    return this.#enqueue({
      ...repetitionOf(run, newId(), timeMs),
      waitUntilMs: timeMs + settings.waitMsMax,
    })
  }

  /** The run of an earlier request under the same key, or a new one. */
  async #once(requestDigest: string, options: SubmitOptions, planOf: () => NamedPlan): Promise<Run> {
    const { requestKey, owner } = options
    if (requestKey === undefined) return this.#queuePlan(planOf(), options, {})
    const name = `${owner ?? OWN} ${requestKey}`
    const earlier = this.#keyed.get(name) ?? this.#find(requestKey, owner)
    if (earlier === undefined) {
      const made = this.#queuePlan(planOf(), options, { requestKey, requestDigest })
      this.#keyed.set(name, made)
      return made.finally(() => this.#keyed.delete(name))
    }
    const run = await earlier
    checkSame(run, requestDigest)
    return run
  }

  /** @throws NodeError CONFLICT when the key stands for another request of a run of the pipeline. */
  checkKey(pipeline: string, options: SubmitOptions): void {
    const { requestKey, owner } = options
    const earlier = requestKey === undefined ? undefined : this.#find(requestKey, owner)
    if (earlier !== undefined) checkSame(earlier, requestDigestOf({ pipeline }, options))
  }

  #find(requestKey: string, owner: string | undefined): Run | undefined {
    const same = (run: Run) => run.requestKey === requestKey && ownerOf(run) === (owner ?? OWN)
    return this.#parts.store.list().find(same)
  }

  async #queuePlan(plan: NamedPlan, options: SubmitOptions, keyed: RunTerms): Promise<Run> {
    return this.#enqueue(this.plannedRun(plan, options, keyed))
  }

  /** The run as it would be queued; nothing is done with it. */
  plannedRun(plan: NamedPlan, options: SubmitOptions, keyed: RunTerms = {}): Run {
    const { newId, clock, settings } = this.#parts
    const timeMs = clock.now()
    const { slot, waitMsMax = settings.waitMsMax } = options
    const asked = options.trigger ?? { kind: 'request' }
    const trigger = slot === undefined ? asked : { ...asked, slot }
    const { name: pipeline, steps, author } = plan
    const written = author === undefined ? {} : { author }
    const terms = { ...termsOf(options), ...keyed, ...written, waitUntilMs: timeMs + waitMsMax }
    return newRun({ id: newId(), pipeline, plan: [...steps], trigger, timeMs, terms })
  }

  /** Whether the run may come into the queue. @throws NodeError QUEUE_FULL, NO_PLACE, INVALID_INPUT */
  check(run: Run): void {
    const { store, queue, settings, catalogue } = this.#parts
    // A schedule is answered by a run that says what is wrong.
    if (run.trigger.kind !== 'schedule') catalogue.checkServices(run.plan)
    const coming = [...this.#coming.values()].filter(({ id }) => store.find(id) === undefined)
    const queued = [...store.queued(), ...coming]
    if (queued.length >= queuedRunsMax) {
      const message = `${queued.length} runs wait already; try again when some have ended, or cancel some ("maoctl run queue")`
      throw new NodeError('QUEUE_FULL', message)
    }
    const owner = ownerOf(run)
    const ofOwner = queued.filter((other) => ownerOf(other) === owner).length
    if (owner !== OWN && ofOwner >= settings.queuedPerOwner) {
      const message = `${ofOwner} runs of ${owner} wait on this node already, which is as many as it takes of one member; try again when some have ended`
      throw new NodeError('QUEUE_FULL', message, { owner })
    }
    queue.checkPossible(run)
  }

  async #enqueue(run: Run): Promise<Run> {
    const { store, queue } = this.#parts
    this.check(run)
    this.#coming.set(run.id, run)
    try {
      await store.save(run)
    } finally {
      this.#coming.delete(run.id)
    }
    await this.#forgetOld()
    queue.pump()
    return run
  }

  /** Keeps a run that ended before it came into the queue; the oldest make room as for any other. */
  async keepEnded(run: Run): Promise<void> {
    await this.#parts.store.save(run)
    await this.#forgetOld()
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

function checkSame({ id, requestKey: key, requestDigest }: Run, asked: string): void {
  if (requestDigest === asked) return
  const message = `The key ${key} was used for another request, which made run ${id}; use a new key for a new request`
  throw new NodeError('CONFLICT', message, { key, id })
}

function termsOf(options: SubmitOptions): RunTerms {
  const { owner, priority, timeoutMs, notBeforeMs, inputCommits, imageDigests, inputPins, bases } = options
  return {
    ...(owner === undefined ? {} : { owner }),
    ...(priority === undefined ? {} : { priority }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(notBeforeMs === undefined ? {} : { notBeforeMs }),
    ...(inputCommits === undefined ? {} : { inputCommits: { ...inputCommits } }),
    ...(imageDigests === undefined ? {} : { imageDigests: { ...imageDigests } }),
    ...(inputPins === undefined
      ? {}
      : {
          inputPins: Object.fromEntries(Object.entries(inputPins).map(([step, pins]) => [step, [...pins]])),
        }),
    ...(bases === undefined ? {} : { bases: { ...bases } }),
  }
}
