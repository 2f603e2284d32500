import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { missedRunMaxMs, schedulerSleepMaxMs, schedulesMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { Collection } from '../../registry/collection.ts'
import { dueSlot, nextSlot, type Schedule } from './schedule.ts'

export interface SchedulerParts {
  readonly schedules: Pick<Collection<Schedule>, 'list' | 'watch'>
  /** The newest slot for which this node has a run of the pipeline. */
  readonly lastSlotRun: (pipeline: string) => number | undefined
  /** Since when this node is a member: what was scheduled before concerns it not. */
  readonly memberSinceMs: () => number
  /** Queues a run for the slot. */
  readonly fire: (pipeline: string, slot: number) => Promise<void>
  readonly clock: Clock
  readonly log: Logger
}

/**
 * Fires every schedule of the federation on this node. It keeps no state of its own: the runs say which slots are done,
 * so a restart neither repeats a slot nor loses the last one, which runs late when it is not too old.
 */
export class Scheduler implements Startable {
  readonly #parts: SchedulerParts
  /** Slots that could not be queued; the next one is tried again. */
  readonly #failed = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #unwatch: (() => void) | undefined
  #ticking: Promise<void> = Promise.resolve()

  constructor(parts: SchedulerParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#unwatch !== undefined) return
    this.#unwatch = this.#parts.schedules.watch(() => this.#wake(0))
    this.#wake(0)
  }

  async stop(): Promise<void> {
    this.#unwatch?.()
    this.#unwatch = undefined
    clearTimeout(this.#timer)
    await this.#ticking
    clearTimeout(this.#timer)
  }

  #wake(afterMs: number): void {
    if (this.#unwatch === undefined) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#ticking = this.#ticking.then(async () => {
        try {
          await this.#tick()
        } catch (error) {
          this.#parts.log.error({ error: messageOf(error) }, 'the schedules were not looked at')
          this.#wake(schedulerSleepMaxMs)
        }
      })
    }, afterMs)
  }

  async #tick(): Promise<void> {
    const { schedules, clock, log } = this.#parts
    let sleepMs = schedulerSleepMaxMs
    for (const { value: schedule, entry } of schedules.list().slice(0, schedulesMax)) {
      try {
        await this.#fireIfDue(schedule, entry.timeMs)
        const nowMs = clock.now()
        sleepMs = Math.min(sleepMs, (nextSlot(schedule, nowMs) ?? Number.POSITIVE_INFINITY) - nowMs)
      } catch (error) {
        log.error({ pipeline: schedule.pipeline, error: messageOf(error) }, 'a scheduled run was not queued')
      }
    }
    this.#wake(Math.max(0, sleepMs))
  }

  async #fireIfDue(schedule: Schedule, recordedMs: number): Promise<void> {
    const { lastSlotRun, memberSinceMs, fire, clock, log } = this.#parts
    const { pipeline } = schedule
    const done = Math.max(lastSlotRun(pipeline) ?? 0, this.#failed.get(pipeline) ?? 0)
    const sinceMs = Math.max(done, recordedMs, memberSinceMs())
    const nowMs = clock.now()
    const slot = dueSlot(schedule, { sinceMs, nowMs, lateMaxMs: missedRunMaxMs })
    if (slot === undefined) return
    try {
      await fire(pipeline, slot)
      log.info({ pipeline, slot, lateMs: nowMs - slot }, 'a scheduled run is queued')
    } catch (error) {
      this.#failed.set(pipeline, slot)
      throw error
    }
  }
}
