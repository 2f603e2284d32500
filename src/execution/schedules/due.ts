import { missedRunMaxMs, missedSlotsMax, onTimeMs } from '../../base/limits.ts'
import type { Schedule } from './schedule.ts'
import { termsOf } from './schedule.ts'
import { jitterOf, lastSlot, nextSlot } from './slots.ts'

/** What a look at a schedule finds to do. */
export interface Due {
  /** The slots to begin now, in order. */
  readonly start: readonly number[]
  /**
   * Slots that came and are passed over, as the schedule's `missed` has it, with the newest one that is too late to
   * begin; the newest of them at most.
   */
  readonly passed: readonly number[]
  /** When there is something to do again; undefined when the rule never comes again. */
  readonly nextMs: number | undefined
}

/**
 * Which slots of a schedule are due: those after `sinceMs` whose time, with their jitter, has come. Of several that were
 * missed, `all` begins every one, `last` the last, `none` only one that is not late. None is later than 18 hours, and
 * never more than 24 begin at once, so that an outage has no stampede behind it. Pure.
 *
 * @param p.who whose jitter it is.
 */
export function dueSlots(schedule: Schedule, p: { sinceMs: number; nowMs: number; who: string }): Due {
  const { sinceMs, nowMs, who } = p
  const { missed } = termsOf(schedule)
  const dueMs = (slot: number) => slot + jitterOf(schedule, slot, who)
  const found: number[] = []
  let nextMs = nextSlot(schedule, nowMs)
  if (nextMs !== undefined) nextMs = dueMs(nextMs)
  let slot = lastSlot(schedule, nowMs)
  while (slot !== undefined && slot > sinceMs && nowMs - slot <= missedRunMaxMs) {
    // One more than can begin, to know that there were more.
    if (found.length > missedSlotsMax) break
    if (dueMs(slot) <= nowMs) found.unshift(slot)
    else nextMs = dueMs(slot)
    slot = lastSlot(schedule, slot - 1)
  }
  const tooLate = slot !== undefined && slot > sinceMs && nowMs - slot > missedRunMaxMs ? [slot] : []
  const begun = missed === 'all' ? missedSlotsMax : 1
  const start = found.slice(-begun).filter((at) => missed !== 'none' || nowMs - dueMs(at) <= onTimeMs)
  return { start, passed: [...tooLate, ...found.filter((at) => !start.includes(at))], nextMs }
}
