/**
 * After a step has committed, its control files are judged and its insights published. Both are for people: a failure
 * here never changes how the run ended, but the report says what went wrong.
 */
import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { type Database, DURABLE, type Table, table } from '../base/database.ts'
import { messageOf } from '../base/errors.ts'
import { alarmsKeptMax, insightsBytesMax, snapshotsMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { type Alarm, decideAlarm, type WatchOptions } from './alarms.ts'
import { readSnapshots } from './control-files.ts'
import { DETECTOR_DEFAULT, historyOf } from './detector.ts'
import type { Deliveries } from './notify/deliveries.ts'
import { spikeMessage } from './notify/message.ts'
import { describeReport, type Report, reportOn } from './report.ts'

const INSIGHTS = 'insights.json'

/** A committed tree to look at. */
export interface CommittedStep {
  run: string
  pipeline: string
  step: string
  tool: string
  dataset: string
  commit: string
  repository: {
    listFiles(commit: string): Promise<readonly { path: string; oid: string }[]>
    readBlob(oid: string): Promise<Uint8Array>
  }
}

/** What `/notifications/<tool>/<peer>` holds: the last spike that this member saw in the tool's control metric. */
export const notificationSchema = z.object({
  tool: z.string(),
  node: z.string(),
  run: z.string(),
  pipeline: z.string(),
  step: z.string(),
  dataset: z.string(),
  commit: z.string(),
  timeMs: z.int(),
  rollingAverage: z.number(),
  value: z.number(),
  difference: z.number(),
  gainPercent: z.number().optional(),
  /** Members of earlier versions do not say it: theirs is the predecessor's rule. */
  detector: z.string().optional(),
  why: z.string().optional(),
  snapshots: z.array(z.object({ file: z.string(), value: z.number() })),
})

export type Notification = z.output<typeof notificationSchema>

export interface MonitorParts {
  readonly registry: { put(key: string, value: Uint8Array): Promise<unknown> }
  /** This member: its peer id ends the keys, its name is for people. */
  readonly self: () => { readonly peer: string; readonly name: string }
  /** How a tool is watched, by what its record says and what this node's settings say instead. */
  readonly watchOf: (tool: string) => WatchOptions
  readonly quietMs: number
  readonly deliveries: Pick<Deliveries, 'tell'>
  /** Remembers the last alarm of each series. */
  readonly database: Database
  /** Whether others may learn what is in a dataset: of one that stays here, nothing is told. */
  readonly mayTell: (dataset: string) => boolean
  readonly clock: Clock
  readonly log: Logger
}

export class Monitor {
  readonly #parts: MonitorParts
  readonly #alarms: Table<Alarm>

  constructor(parts: MonitorParts) {
    this.#parts = parts
    this.#alarms = table(parts.database, 'alarms')
  }

  /** Judges and publishes; undefined when the tree holds neither control files nor insights. Never throws. */
  async review(step: CommittedStep): Promise<Report | undefined> {
    const { log, mayTell, watchOf } = this.#parts
    try {
      const files = await step.repository.listFiles(step.commit)
      const readable = files.map(({ path, oid }) => ({ path, read: () => step.repository.readBlob(oid) }))
      const { detector = DETECTOR_DEFAULT } = watchOf(step.tool)
      const count = Math.max(snapshotsMax, historyOf(detector))
      const { snapshots, problems, newestProblem } = await readSnapshots(readable, count)
      const report = reportOn(snapshots, problems, detector, newestProblem)
      const told = mayTell(step.dataset)
      await this.#attempt(report, () => this.#alarm(step, report, told))
      const insights = files.find(({ path }) => path === INSIGHTS)
      if (told && insights !== undefined) await this.#attempt(report, () => this.#publish(step, insights.oid))
      if (snapshots.length === 0 && report.problems.length === 0) return undefined
      log.info({ run: step.run, step: step.step, tool: step.tool }, describeReport(report))
      return report
    } catch (error) {
      log.error({ run: step.run, tool: step.tool, error: messageOf(error) }, 'a result was not reviewed')
      return reportOn([], [`The result was not reviewed: ${messageOf(error)}`])
    }
  }

  /** Tells of a spike, once; this node's own people hear of any, the members of those in datasets that they share. */
  async #alarm(step: CommittedStep, report: Report, members: boolean): Promise<void> {
    const { watchOf, quietMs, deliveries, self, clock } = this.#parts
    const { run, pipeline, tool, dataset, commit } = step
    const series = JSON.stringify([pipeline, step.step, tool, dataset])
    const nowMs = clock.now()
    const before = await this.#alarms.get(series)
    const quiet = { quietMs: watchOf(tool).quietMs ?? quietMs, nowMs }
    const { tell, why, alarm } = decideAlarm({ judgement: report, commit, before, ...quiet })
    if (why !== undefined) report.suppressed = why
    if (tell) {
      const { detector, why: reason, value, rollingAverage } = report
      const figures = JSON.parse(JSON.stringify({ detector, why: reason, value, rollingAverage }))
      const named = { run, pipeline, step: step.step, tool, dataset, commit }
      const told = await deliveries.tell(spikeMessage({ ...named, ...figures }, self(), nowMs))
      // After those outside: they are to hear of it also while the registry takes nothing.
      const inRegistry = !members || (await this.#attempt(report, () => this.#notify(step, report)))
      // Nobody has heard of it, so that the next look at the same tells of it again.
      if (told.length === 0 && !inRegistry) return
    }
    // Remembered last: after a crash it is told again, under the same id.
    if (alarm !== undefined && alarm !== before) await this.#remember(series, alarm)
    else if (alarm === undefined && before !== undefined) await this.#alarms.del(series, DURABLE)
  }

  async #remember(series: string, alarm: Alarm): Promise<void> {
    const known = await this.#alarms.keys({ limit: alarmsKeptMax + 1 }).all()
    // Series are named by people, so this many are none that anyone follows: any of them may be told once more.
    const [any] = known
    if (any !== undefined && known.length > alarmsKeptMax) await this.#alarms.del(any)
    await this.#alarms.put(series, alarm, DURABLE)
  }

  async #notify(step: CommittedStep, report: Report): Promise<void> {
    const { registry, self, clock } = this.#parts
    const node = self()
    const { rollingAverage, value, difference, gainPercent, snapshots, detector, why } = report
    const figures = { rollingAverage, value, difference, gainPercent, snapshots, detector, why }
    const { tool, run, pipeline, dataset, commit } = step
    const notification = notificationSchema.parse({
      ...{ tool, node: node.name, run, pipeline, step: step.step, dataset, commit },
      ...{ timeMs: clock.now(), ...figures },
    })
    await registry.put(`/notifications/${tool}/${node.peer}`, encode(notification))
  }

  async #publish(step: CommittedStep, oid: string): Promise<void> {
    const { registry, self } = this.#parts
    const bytes = await step.repository.readBlob(oid)
    if (bytes.length > insightsBytesMax) {
      throw new Error(`${INSIGHTS} has ${bytes.length} bytes, at most ${insightsBytesMax} are published`)
    }
    const insights: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    await registry.put(`/insights/${step.tool}/${self().peer}`, encode(insights))
  }

  /** @returns whether it worked; why not is a problem of the report. */
  async #attempt(report: Report, action: () => Promise<void>): Promise<boolean> {
    try {
      await action()
      return true
    } catch (error) {
      report.problems.push(messageOf(error))
      return false
    }
  }
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}
