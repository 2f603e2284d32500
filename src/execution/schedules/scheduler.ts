import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { HOUR_MS, missedRunMaxMs, schedulerSleepMaxMs, schedulesMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { Collection, Item } from '../../registry/collection.ts'
import type { ClaimedSlots } from './claimed-slots.ts'
import { type Due, dueSlots } from './due.ts'
import type { Ledger } from './ledger.ts'
import { runnersOf, type Schedule, termsOf } from './schedule.ts'
import type { SlotRuns } from './slot-runs.ts'
import { WakeLoop } from './wake-loop.ts'

export interface SchedulerParts {
  readonly schedules: Pick<Collection<Schedule>, 'list' | 'get' | 'watch'>
  readonly ledger: Pick<Ledger, 'load' | 'get' | 'list' | 'pass' | 'forget'>
  readonly runs: Pick<SlotRuns, 'list' | 'find' | 'begin' | 'sharing' | 'note'>
  /** Takes the slots that one member runs for others. */
  readonly claimed: Pick<ClaimedSlots, 'follow'>
  /** Since when this node is a member: what was scheduled before concerns it not. */
  readonly memberSinceMs: () => number
  /** This node's peer id. */
  readonly self: string
  readonly clock: Clock
  readonly log: Logger
}

/**
 * Sees to every slot of every schedule once: begins it, hands it to the claims, or says why not. Which slots were seen
 * to is told by the runs themselves and by the ledger, so that a restart neither repeats a slot nor loses one, and a
 * clock that is set back runs nothing twice.
 */
export class Scheduler implements Startable {
  readonly #parts: SchedulerParts
  readonly #loop: WakeLoop
  #unwatch: (() => void) | undefined

  constructor(parts: SchedulerParts) {
    this.#parts = parts
    this.#loop = new WakeLoop({
      look: () => this.#look(),
      sleepMaxMs: schedulerSleepMaxMs,
      onError: (error) => parts.log.error({ error }, 'the schedules were not looked at'),
    })
  }

  async start(): Promise<void> {
    if (this.#unwatch !== undefined) return
    await this.#parts.ledger.load()
    this.#unwatch = this.#parts.schedules.watch(() => this.#loop.wake())
    this.#loop.start()
  }

  async stop(): Promise<void> {
    this.#unwatch?.()
    this.#unwatch = undefined
    await this.#loop.stop()
  }

  async #look(): Promise<number> {
    const { schedules, ledger, clock, log } = this.#parts
    const items = schedules.list().slice(0, schedulesMax)
    let sleepMs = schedulerSleepMaxMs
    for (const item of items) {
      try {
        const nextMs = await this.#attend(item)
        sleepMs = Math.min(sleepMs, nextMs - clock.now())
      } catch (error) {
        log.error({ pipeline: item.name, error: messageOf(error) }, 'a schedule was not seen to')
      }
    }
    const known = new Set(items.map(({ name }) => name))
    for (const [pipeline] of ledger.list()) if (!known.has(pipeline)) await ledger.forget(pipeline)
    return sleepMs
  }

  /** @returns when there is something to do again, ms since the epoch. */
  async #attend({ value: schedule, entry }: Item<Schedule>): Promise<number> {
    const { self, clock, memberSinceMs } = this.#parts
    if (termsOf(schedule).paused) return Number.POSITIVE_INFINITY
    const nowMs = clock.now()
    const sinceMs = Math.max(this.#passedMs(schedule.pipeline, nowMs), entry.timeMs, memberSinceMs())
    // Those who run a slot for all must know when the others begin, so its jitter is everybody's.
    const who = runnersOf(schedule) === undefined ? self : ''
    const due = dueSlots(schedule, { sinceMs, nowMs, who })
    await this.#seeTo(schedule, due)
    return due.nextMs ?? Number.POSITIVE_INFINITY
  }

  /** Up to where the slots are seen to. What lies ahead of a clock that was set back is no news of the past. */
  #passedMs(pipeline: string, nowMs: number): number {
    const { ledger, runs } = this.#parts
    const passedMs = ledger.get(pipeline)?.passedMs
    if (passedMs !== undefined && passedMs <= nowMs) return passedMs
    return Math.max(0, ...runs.list(pipeline).map(({ slot }) => (slot <= nowMs ? slot : 0)))
  }

  async #seeTo(schedule: Schedule, { start, passed }: Due): Promise<void> {
    const { ledger, runs, log } = this.#parts
    const { pipeline } = schedule
    const missed = passed.at(-1)
    if (missed !== undefined) {
      const reason = `${passed.length === 1 ? 'a slot was' : `${passed.length} slots were`} missed while this node was away or busy; the schedule runs ${termsOf(schedule).missed} of those that were missed, and none more than ${missedRunMaxMs / HOUR_MS} hours late`
      await runs.note(pipeline, { slot: missed, kind: 'missed', reason })
    }
    for (const slot of start) {
      try {
        await this.#begin(schedule, slot, start.length > 1)
      } catch (error) {
        log.error({ pipeline, slot, error: messageOf(error) }, 'a scheduled run was not queued')
        await ledger.pass(pipeline, slot)
      }
    }
    if (missed !== undefined && missed > (start.at(-1) ?? 0)) await ledger.pass(pipeline, missed)
  }

  async #begin(schedule: Schedule, slot: number, behind: boolean): Promise<void> {
    const { ledger, runs, claimed } = this.#parts
    const { pipeline } = schedule
    // A clock that was set back comes to a slot again.
    const done = runs.find(pipeline, slot) !== undefined
    const ofEverybody = runnersOf(schedule) === undefined
    if (done || (ofEverybody && (await runs.sharing(schedule, slot)) === 'everybody')) {
      if (!done) await runs.begin(schedule, slot, { behind })
      return ledger.pass(pipeline, slot)
    }
    await ledger.pass(pipeline, slot, [slot])
    claimed.follow({ pipeline, slot })
  }
}
