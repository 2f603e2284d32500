/**
 * After a step has committed, its control files are judged and its insights published. Both are for people: a failure
 * here never changes how the run ended, but the report says what went wrong.
 */
import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { insightsBytesMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { readSnapshots } from './control-files.ts'
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
  snapshots: z.array(z.object({ file: z.string(), value: z.number() })),
})

export type Notification = z.output<typeof notificationSchema>

export interface MonitorParts {
  readonly registry: { put(key: string, value: Uint8Array): Promise<unknown> }
  /** This member: its peer id ends the keys, its name is for people. */
  readonly self: () => { readonly peer: string; readonly name: string }
  /** Whether others may learn what is in a dataset: of one that stays here, nothing is told. */
  readonly mayTell: (dataset: string) => boolean
  readonly clock: Clock
  readonly log: Logger
}

export class Monitor {
  readonly #parts: MonitorParts

  constructor(parts: MonitorParts) {
    this.#parts = parts
  }

  /** Judges and publishes; undefined when the tree holds neither control files nor insights. Never throws. */
  async review(step: CommittedStep): Promise<Report | undefined> {
    const { log, mayTell } = this.#parts
    try {
      const files = await step.repository.listFiles(step.commit)
      const readable = files.map(({ path, oid }) => ({ path, read: () => step.repository.readBlob(oid) }))
      const { snapshots, problems } = await readSnapshots(readable)
      const report = reportOn(snapshots, problems)
      const told = mayTell(step.dataset)
      if (told && report.verdict === 'spike') await this.#attempt(report, () => this.#notify(step, report))
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

  async #notify(step: CommittedStep, report: Report): Promise<void> {
    const { registry, self, clock } = this.#parts
    const node = self()
    const { verdict: _verdict, problems: _problems, ...figures } = report
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

  async #attempt(report: Report, action: () => Promise<void>): Promise<void> {
    try {
      await action()
    } catch (error) {
      report.problems.push(messageOf(error))
    }
  }
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}
