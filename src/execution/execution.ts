/**
 * Running containers on this node: what may be run (tools, pipelines, schedules, all records of the federation) and
 * what has been (runs, on this node alone). Everything else in this room stands behind this door.
 */
import { NodeError } from '../base/errors.ts'
import { type Startable, StopStack } from '../base/lifecycle.ts'
import type { Insights } from '../monitoring/insights.ts'
import type { Notification } from '../monitoring/monitor.ts'
import type { Notifications } from '../monitoring/notifications.ts'
import type { Collection, Item } from '../registry/collection.ts'
import type { PipelineOptions } from './catalogue/catalogue.ts'
import type { Pipeline } from './catalogue/pipeline.ts'
import type { Tool, ToolInput } from './catalogue/tool.ts'
import type { Engines } from './engines/engines.ts'
import { type ExecutionParts, type ExecutionRooms, executionRooms } from './execution-rooms.ts'
import type { Gateway } from './gateway/gateway.ts'
import type { ImageRooms } from './images/image-rooms.ts'
import type { Lineage } from './lineage/lineage.ts'
import type { LogWanted, RunReading } from './logs/run-reading.ts'
import type { Publishers } from './publishing/publishers.ts'
import type { Previews } from './queue/preview.ts'
import { cancelled, type QueuePlace, type RunQueue } from './queue/queue.ts'
import type { NamedPlan, SubmitOptions } from './queue/submissions.ts'
import { isEnded, type Run } from './runs/run.ts'
import { commitsNamed } from './runs/run-machine.ts'
import type { OnRun } from './runs/run-store.ts'
import type { Schedule } from './schedules/schedule.ts'
import type { ScheduleView, Timetable } from './schedules/timetable.ts'
import type { ApprovalView } from './secrets/secret-approvals.ts'
import type { SecretName, SecretStore } from './secrets/secret-store.ts'

export class Execution implements Startable {
  readonly tools: Collection<Tool>
  readonly pipelines: Collection<Pipeline>
  readonly schedules: Collection<Schedule>
  /** Making schedules, changing them and looking at them. */
  readonly timetable: Timetable
  /** The last spike that each member saw in each tool. */
  readonly spikes: Collection<Notification>
  /** What members' tools have published of themselves. */
  readonly insights: Insights
  /** What tools elsewhere say to the federation, and ask it. */
  readonly gateway: Pick<Gateway, 'write' | 'read' | 'inspect' | 'save'>
  /** Who outside is told of spikes and runs. */
  readonly notifications: Notifications
  /** Doing runs again, to compare. */
  readonly lineage: Lineage
  /** The secrets of this node that are sealed. */
  readonly secrets: SecretStore
  /** The logs of runs. */
  readonly reading: RunReading
  /** The images of steps: where they come from, what opens their registries, how they are built and removed. */
  readonly imaging: Pick<ImageRooms, 'logins' | 'services' | 'sweep' | 'builds'>
  /** Where outputs are published, and what is there. */
  readonly publishers: Pick<Publishers, 'list' | 'publications' | 'remove' | 'setKey'>
  /** Who waits, and why. */
  readonly queue: Pick<RunQueue, 'line'>
  /** What would become of a run that is not submitted. */
  readonly previews: Previews
  readonly #parts: ExecutionParts
  readonly #rooms: ExecutionRooms
  readonly #running = new StopStack()
  #started = false
  #remembers = false

  constructor(parts: ExecutionParts) {
    this.#parts = parts
    this.#rooms = executionRooms(parts)
    const { catalogue, spikes, notifications } = this.#rooms
    this.tools = catalogue.tools
    this.pipelines = catalogue.pipelines
    this.schedules = catalogue.schedules
    this.timetable = this.#rooms.timetable
    this.spikes = spikes
    this.insights = this.#rooms.insights
    this.gateway = this.#rooms.gateway
    this.notifications = notifications
    this.lineage = this.#rooms.lineage
    this.reading = this.#rooms.reading
    this.secrets = this.#rooms.secretStore
    this.imaging = this.#rooms.imaging
    this.publishers = this.#rooms.publishers
    this.queue = this.#rooms.queue
    this.previews = this.#rooms.previews
  }

  /** Recovers from an earlier crash, then takes up the queue and the schedules. Works without a container engine. */
  async start(): Promise<void> {
    if (this.#started) return
    this.#started = true
    try {
      await this.#rooms.store.load()
      this.#remembers = true
      const newest = this.#rooms.store.list().at(-1)
      if (newest !== undefined) this.#rooms.ids.follow(newest.id)
      await this.#running.start('notifications', this.notifications)
      await this.#running.start('reaper', this.#rooms.reaper)
      await this.#running.start('publishers', this.#rooms.publishers)
      await this.#rooms.recovery.recover()
      this.#rooms.queue.start()
      this.#running.push('queue', () => this.#rooms.queue.stop())
      await this.#running.start('late publishing', this.#rooms.latePublishing)
      await this.#running.start('images', this.#rooms.imaging.sweep)
      await this.#running.start('builds', this.#rooms.imaging.builds)
      await this.#running.start('scheduler', this.#rooms.scheduler)
      await this.#running.start('claims', this.#rooms.claimed)
      await this.#running.start('gateway', this.#rooms.gateway)
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
    return commitsNamed(this.#rooms.store.list(), dataset)
  }

  /** Runs in the middle of their work end as lost and wait, repeated, for the next start. */
  async stop(): Promise<void> {
    this.#started = false
    await this.#running.unwind()
  }

  get engines(): Engines {
    return this.#parts.engines
  }

  /** @throws NodeError INVALID_NAME, INVALID_INPUT */
  addTool(name: string, tool: ToolInput): Promise<Item<Tool>> {
    return this.#rooms.catalogue.addTool(name, tool)
  }

  /** See `Catalogue.addPipeline`. @throws NodeError INVALID_INPUT, INVALID_NAME */
  addPipeline(
    name: string | undefined,
    text: unknown,
    options: PipelineOptions = {},
  ): Promise<Item<Pipeline>> {
    return this.#rooms.catalogue.addPipeline(name, text, options)
  }

  /** See `Timetable.add`. @throws NodeError INVALID_CRON, PIPELINE_NOT_FOUND, INVALID_INPUT, DATASET_WITHHELD */
  schedule(schedule: Schedule): Promise<ScheduleView> {
    return this.timetable.add(schedule)
  }

  /** @throws NodeError SCHEDULE_NOT_FOUND */
  unschedule(pipeline: string): Promise<void> {
    return this.timetable.remove(pipeline)
  }

  scheduled(): ScheduleView[] {
    return this.timetable.list()
  }

  /** Queues a run; it is on the disk when this resolves. @throws NodeError PIPELINE_NOT_FOUND, QUEUE_FULL */
  submit(pipeline: string, options: SubmitOptions = {}): Promise<Run> {
    return this.#rooms.submissions.submit(pipeline, options)
  }

  /** Queues a run of a plan that need not stand in the registry. @throws NodeError QUEUE_FULL, CONFLICT */
  submitPlan(plan: NamedPlan, options: SubmitOptions = {}): Promise<Run> {
    return this.#rooms.submissions.submitPlan(plan, options)
  }

  /** Where a queued run stands in line and why it waits; undefined for any other. @throws NodeError RUN_NOT_FOUND */
  position(id: string): QueuePlace | undefined {
    if (this.#rooms.store.get(id).state !== 'queued') return undefined
    return this.#rooms.queue.line().find(({ run }) => run.id === id)
  }

  /** Oldest first. */
  runs(): Run[] {
    return this.#rooms.store.list()
  }

  /** @throws NodeError RUN_NOT_FOUND */
  run(id: string): Run {
    return this.#rooms.store.get(id)
  }

  /**
   * Ends a run wherever it is; one that has ended stays as it is. A run at work has ended when this resolves, unless a
   * commit was under way that then completes it.
   *
   * @throws NodeError RUN_NOT_FOUND
   */
  async cancel(id: string): Promise<Run> {
    if (isEnded(this.#rooms.store.get(id))) return this.#rooms.store.get(id)
    if (this.#rooms.queue.cancel(id)) return this.finished(id)
    if (await this.#rooms.latePublishing.cancel(id)) return this.#rooms.store.get(id)
    await this.#rooms.queue.withdraw(id, async () => {
      const run = this.#rooms.store.get(id)
      if (!isEnded(run)) await this.#rooms.store.save(cancelled(run, this.#parts.clock.now()))
    })
    return this.#rooms.store.get(id)
  }

  /** See `Submissions.repeat`. @throws NodeError RUN_NOT_FOUND, CONFLICT, QUEUE_FULL */
  repeat(id: string): Promise<Run> {
    return this.#rooms.submissions.repeat(id)
  }

  /** Resolves with the run when it has ended. @throws the signal's reason. */
  async finished(id: string, signal?: AbortSignal): Promise<Run> {
    return this.#rooms.store.until(id, isEnded, signal)
  }

  /** What was printed, as text; see `RunReading`. @throws NodeError RUN_NOT_FOUND, NOT_FOUND for a step that is not in it. */
  logs(id: string, wanted: LogWanted = {}): AsyncGenerator<string> {
    return this.reading.text(id, wanted)
  }

  /** Takes whatever image a reference means now as the right one, after IMAGE_MOVED. */
  async acceptImage(reference: string): Promise<void> {
    await this.#rooms.pins.accept(reference)
  }

  /**
   * Gives the steps of a pipeline what they ask for, this node's secrets and, where another member had a hand in it, data
   * that stay here, as long as they stay as they are now; with `preview`, only says which steps that would be.
   *
   * @throws NodeError PIPELINE_NOT_FOUND, TOOL_NOT_FOUND, CONFLICT when it is no longer what `fingerprint` names,
   * IMAGE_NOT_FOUND, IMAGE_MOVED, ENGINE_UNAVAILABLE.
   */
  async approve(
    name: string,
    options: { preview?: boolean; fingerprint?: string } = {},
  ): Promise<ApprovalView> {
    const scheduled = this.schedules.get(name) !== undefined
    const pipeline = this.#rooms.catalogue.plan(name, { scheduled })
    if (options.preview === true) return this.#rooms.approvals.view(name, pipeline)
    return this.#rooms.approvals.approve(name, pipeline, options.fingerprint)
  }

  /**
   * Another member that had a hand in what a pipeline would run now; undefined where none had.
   *
   * @throws NodeError PIPELINE_NOT_FOUND
   */
  handIn(pipeline: string): string | undefined {
    return this.#rooms.catalogue.plan(pipeline).author
  }

  /** See `Secrets.sealFile`. @throws NodeError FORBIDDEN, INVALID_NAME */
  sealSecretsFile(): Promise<{ path: string; sealed: SecretName[] }> {
    return this.#rooms.secrets.sealFile()
  }

  /** Takes back what the steps of a pipeline were given. @returns the names of those that had something. */
  revoke(pipeline: string): Promise<string[]> {
    return this.#rooms.approvals.revoke(pipeline)
  }

  /** Hears of every stored transition of every run. @returns how to stop. */
  onRun(callback: OnRun): () => void {
    return this.#rooms.store.onRun(callback)
  }
}
