/**
 * Running containers on this node: what may be run (tools, pipelines, schedules, all records of the federation) and
 * what has been (runs, on this node alone). Everything else in this room stands behind this door.
 */
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { Database } from '../base/database.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import { type Startable, StopStack } from '../base/lifecycle.ts'
import { queuedRunsMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { Datasets } from '../datasets/datasets.ts'
import type { Members } from '../federation/members.ts'
import { Monitor, type Notification, notificationSchema } from '../monitoring/monitor.ts'
import { Collection, type Item } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import { Catalogue, type PipelineOptions, type ScheduleView } from './catalogue/catalogue.ts'
import type { Pipeline } from './catalogue/pipeline.ts'
import type { Tool, ToolInput } from './catalogue/tool.ts'
import type { ContainerEngine } from './engines/engine.ts'
import { ImagePins } from './images/image-pins.ts'
import { RunLogs } from './logs/logs.ts'
import { RunQueue } from './runs/queue.ts'
import { Recovery, repetitionOf } from './runs/recovery.ts'
import { commitsNamed, endRun, isEnded, newRun, type Run, type Trigger } from './runs/run.ts'
import { RunIds } from './runs/run-ids.ts'
import { type OnRun, RunStore } from './runs/run-store.ts'
import type { Schedule } from './schedules/schedule.ts'
import { Scheduler } from './schedules/scheduler.ts'
import { type ApprovalView, SecretApprovals } from './secrets/secret-approvals.ts'
import { Secrets } from './secrets/secrets.ts'
import { Runner, type RunnerDatasets } from './steps/runner.ts'
import { Staging } from './steps/staging.ts'
import type { ExecutionSettings } from './steps/step-box.ts'

export interface ExecutionParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'watch'>
  readonly members: Pick<Members, 'self'>
  readonly datasets: RunnerDatasets & Pick<Datasets, 'list' | 'find' | 'upkeep'>
  readonly engine: ContainerEngine
  readonly database: Database
  /** The node's data directory. */
  readonly directory: string
  readonly settings: ExecutionSettings
  readonly dockerSocketPath: string
  /** The node's environment, for secrets. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** This node's peer id. */
  readonly peer: string
  readonly clock: Clock
  readonly log: Logger
}

export class Execution implements Startable {
  readonly tools: Collection<Tool>
  readonly pipelines: Collection<Pipeline>
  readonly schedules: Collection<Schedule>
  /** The last spike that each member saw in each tool. */
  readonly notifications: Collection<Notification>
  readonly #parts: ExecutionParts
  readonly #catalogue: Catalogue
  readonly #store: RunStore
  readonly #ids: RunIds
  readonly #logs: RunLogs
  readonly #pins: ImagePins
  readonly #approvals: SecretApprovals
  readonly #queue: RunQueue
  readonly #recovery: Recovery
  readonly #scheduler: Scheduler
  readonly #running = new StopStack()
  #started = false
  #remembers = false

  constructor(parts: ExecutionParts) {
    const { registry, members, datasets, engine, database, directory, settings, clock, log } = parts
    const { dockerSocketPath, environment, peer } = parts
    this.#parts = parts
    const catalogue = new Catalogue({ registry, datasets, clock, log })
    this.#catalogue = catalogue
    this.tools = catalogue.tools
    this.pipelines = catalogue.pipelines
    this.schedules = catalogue.schedules
    this.notifications = new Collection({
      registry,
      prefix: '/notifications/',
      schema: notificationSchema,
      log,
    })

    this.#ids = new RunIds(clock)
    const newId = () => this.#ids.next()
    const store = new RunStore({ database, log })
    this.#store = store
    this.#logs = new RunLogs(join(directory, 'runs'))
    this.#pins = new ImagePins({ database })
    const checkouts = { use: (...of: [string, string]) => datasets.upkeep.checkouts.use(...of) }
    const freeBytesMin = () => datasets.upkeep.freeBytesMin
    const place = join(directory, 'staging')
    const staging = new Staging({ datasets, checkouts, freeBytesMin, directory: place, clock, log })
    const imageOf = (tool: string) => catalogue.tool(tool).image
    this.#approvals = new SecretApprovals({ database, engine, pins: this.#pins, imageOf, clock })
    const secrets = new Secrets({ path: join(directory, 'secrets.yaml'), environment })
    const self = () => ({ peer, name: members.self().name })
    const { repeatLost, concurrency } = settings
    const mayTell = (dataset: string) => datasets.find(dataset)?.policy === 'shared'
    const monitor = new Monitor({ registry, self, mayTell, clock, log })
    this.#recovery = new Recovery({
      ...{ store, engine, staging, datasets, monitor, repeatLost, peer, newId, clock, log },
    })
    const runner = new Runner({
      freeBytesMin,
      ...{ store, engine, pins: this.#pins, staging, logs: this.#logs, secrets, datasets, imageOf },
      ...{ approvals: this.#approvals, monitor, settings, dockerSocketPath, self, newId, clock, log },
    })
    const run = (id: string, signal: AbortSignal) => runner.run(id, signal)
    this.#queue = new RunQueue({ store, run, concurrency, log })
    this.#scheduler = new Scheduler({
      schedules: this.schedules,
      lastSlotRun: (pipeline) => this.#lastSlotRun(pipeline),
      memberSinceMs: () => members.self().since,
      fire: (pipeline, slot) => this.#fire(pipeline, slot),
      ...{ clock, log },
    })
  }

  /** Recovers from an earlier crash, then takes up the queue and the schedules. Works without a container engine. */
  async start(): Promise<void> {
    if (this.#started) return
    this.#started = true
    try {
      await this.#store.load()
      this.#remembers = true
      const newest = this.#store.list().at(-1)
      if (newest !== undefined) this.#ids.follow(newest.id)
      await this.#recovery.recover()
      this.#queue.start()
      this.#running.push('queue', () => this.#queue.stop())
      await this.#running.start('scheduler', this.#scheduler)
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /**
   * The commits of a dataset that runs name: whatever else becomes of them, they stay as long as the runs are remembered.
   *
   * @throws NodeError INTERNAL before the runs have been read: nothing may be taken for forgotten then.
   */
  commitsOf(dataset: string): string[] {
    if (!this.#remembers) throw new NodeError('INTERNAL', 'The runs have not been read yet')
    return commitsNamed(this.#store.list(), dataset)
  }

  /** Runs in the middle of their work end as lost and wait, repeated, for the next start. */
  async stop(): Promise<void> {
    this.#started = false
    await this.#running.unwind()
  }

  /** @throws NodeError INVALID_NAME, INVALID_INPUT */
  addTool(name: string, tool: ToolInput): Promise<Item<Tool>> {
    return this.#catalogue.addTool(name, tool)
  }

  /** See `Catalogue.addPipeline`. @throws NodeError INVALID_INPUT, INVALID_NAME */
  addPipeline(
    name: string | undefined,
    text: unknown,
    options: PipelineOptions = {},
  ): Promise<Item<Pipeline>> {
    return this.#catalogue.addPipeline(name, text, options)
  }

  /** @throws NodeError INVALID_CRON, PIPELINE_NOT_FOUND */
  schedule(schedule: Schedule): Promise<ScheduleView> {
    return this.#catalogue.schedule(schedule)
  }

  /** @throws NodeError SCHEDULE_NOT_FOUND */
  unschedule(pipeline: string): Promise<void> {
    return this.#catalogue.unschedule(pipeline)
  }

  scheduled(): ScheduleView[] {
    return this.#catalogue.scheduled()
  }

  /** Queues a run; it is on the disk when this resolves. @throws NodeError PIPELINE_NOT_FOUND, QUEUE_FULL */
  async submit(pipeline: string, options: { trigger?: Trigger } = {}): Promise<Run> {
    const { steps: plan } = this.#catalogue.pipeline(pipeline)
    const trigger = options.trigger ?? { kind: 'request' }
    return this.#enqueue(
      newRun({ id: this.#ids.next(), pipeline, plan, trigger, timeMs: this.#parts.clock.now() }),
    )
  }

  /** Oldest first. */
  runs(): Run[] {
    return this.#store.list()
  }

  /** @throws NodeError RUN_NOT_FOUND */
  run(id: string): Run {
    return this.#store.get(id)
  }

  /**
   * Ends a run wherever it is; one that has ended stays as it is. A run at work has ended when this resolves, unless a
   * commit was under way that then completes it.
   *
   * @throws NodeError RUN_NOT_FOUND
   */
  async cancel(id: string): Promise<Run> {
    if (isEnded(this.#store.get(id))) return this.#store.get(id)
    if (this.#queue.cancel(id)) return this.finished(id)
    await this.#queue.withdraw(id, async () => {
      const ending = {
        timeMs: this.#parts.clock.now(),
        reason: 'cancelled on request',
        code: 'CANCELLED' as const,
      }
      await this.#store.save(endRun(this.#store.get(id), 'cancelled', ending))
    })
    return this.#store.get(id)
  }

  /**
   * Queues the same again, for the same slot and without the steps that are done; a run that succeeded is repeated
   * whole and for a slot of its own.
   *
   * @throws NodeError RUN_NOT_FOUND, CONFLICT while it has not ended, QUEUE_FULL.
   */
  async repeat(id: string): Promise<Run> {
    const run = this.#store.get(id)
    if (!isEnded(run)) throw new NodeError('CONFLICT', `Run ${id} has not ended; cancel it first`, { id })
    return this.#enqueue(repetitionOf(run, this.#ids.next(), this.#parts.clock.now()))
  }

  /** Resolves with the run when it has ended. @throws the signal's reason. */
  async finished(id: string, signal?: AbortSignal): Promise<Run> {
    return this.#store.until(id, isEnded, signal)
  }

  /**
   * What the tools printed, one step (or all, in order), as text. With `follow`, until the run has ended.
   *
   * @throws NodeError RUN_NOT_FOUND, NOT_FOUND for a step that is not in the run.
   */
  async *logs(
    id: string,
    step?: string,
    options: { follow?: boolean; signal?: AbortSignal } = {},
  ): AsyncGenerator<string> {
    const names = this.#store.get(id).steps.map(({ name }) => name)
    if (step !== undefined && !names.includes(step)) {
      throw new NodeError('NOT_FOUND', `Run ${id} has no step ${step}; its steps are ${names.join(', ')}`)
    }
    for (const name of step === undefined ? names : [step]) {
      const stepOf = (run: Run) => run.steps.find((other) => other.name === name)
      const begun = (run: Run) => isEnded(run) || !BEFORE_LOG.has(stepOf(run)?.state ?? 'queued')
      const { signal } = options
      if (options.follow) await this.#store.until(id, begun, signal).catch(ignoreAbort(signal))
      if (signal?.aborted) return
      yield* this.#logs.read(stepOf(this.#store.get(id))?.doneBy ?? id, name, options)
    }
  }

  /** Takes whatever image a reference means now as the right one, after IMAGE_MOVED. */
  async acceptImage(reference: string): Promise<void> {
    await this.#pins.accept(reference)
  }

  /**
   * Gives the steps of a pipeline that ask for secrets this node's, as long as they stay as they are now; with
   * `preview`, only says which steps that would be.
   *
   * @throws NodeError PIPELINE_NOT_FOUND, TOOL_NOT_FOUND, CONFLICT when it is no longer what `fingerprint` names,
   * IMAGE_NOT_FOUND, IMAGE_MOVED, ENGINE_UNAVAILABLE.
   */
  async approve(
    name: string,
    options: { preview?: boolean; fingerprint?: string } = {},
  ): Promise<ApprovalView> {
    const pipeline = this.#catalogue.pipeline(name)
    if (options.preview === true) return this.#approvals.view(name, pipeline)
    return this.#approvals.approve(name, pipeline, options.fingerprint)
  }

  /** Hears of every stored transition of every run. @returns how to stop. */
  onRun(callback: OnRun): () => void {
    return this.#store.onRun(callback)
  }

  async #enqueue(run: Run): Promise<Run> {
    const queued = this.#store.list().filter(({ state }) => state === 'queued').length
    if (queued >= queuedRunsMax) {
      throw new NodeError('QUEUE_FULL', `${queued} runs wait already; try again when some have ended`)
    }
    await this.#store.save(run)
    await this.#forgetOld()
    this.#queue.pump()
    return run
  }

  async #forgetOld(): Promise<void> {
    try {
      for (const id of await this.#store.prune()) await this.#logs.remove(id)
    } catch (error) {
      this.#parts.log.warn({ error: messageOf(error) }, 'old runs were not forgotten')
    }
  }

  /** A schedule whose pipeline is gone makes a run too, one that says so: a time that passed in silence helps nobody. */
  async #fire(pipeline: string, slot: number): Promise<void> {
    const trigger: Trigger = { kind: 'schedule', slot }
    if (this.pipelines.get(pipeline) !== undefined) {
      await this.submit(pipeline, { trigger })
      return
    }
    const timeMs = this.#parts.clock.now()
    const run = newRun({ id: this.#ids.next(), pipeline, plan: [], trigger, timeMs })
    const reason = `The schedule names the pipeline ${pipeline}, which is not in the registry`
    await this.#store.save(endRun(run, 'rejected', { timeMs, reason, code: 'PIPELINE_NOT_FOUND' }))
  }

  #lastSlotRun(pipeline: string): number | undefined {
    const slots = this.#store
      .list()
      .filter((run) => run.pipeline === pipeline)
      .map(({ trigger }) => (trigger.kind === 'request' ? undefined : trigger.slot))
      .filter((slot) => slot !== undefined)
    return slots.length === 0 ? undefined : Math.max(...slots)
  }
}

/** States of a step in which its log is not there yet. */
const BEFORE_LOG: ReadonlySet<string> = new Set(['queued', 'pulling', 'staging'])

/** A reader that has gone is the end of its reading, not a failure of it. */
function ignoreAbort(signal: AbortSignal | undefined): (error: unknown) => void {
  return (error) => {
    if (!signal?.aborted) throw error
  }
}
