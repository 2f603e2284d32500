import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import { HOUR_MS, missedRunMaxMs } from '../../../src/base/limits.ts'
import {
  checkCron,
  dueSlot,
  lastSlot,
  nextSlot,
  scheduleSchema,
} from '../../../src/execution/schedules/schedule.ts'

const at = (text: string) => Date.parse(text)

test('slots are the same for all members, wherever they are', () => {
  const nightly = { cron: '0 3 * * *' }
  assert.equal(nextSlot(nightly, at('2026-11-21T02:59:59.999Z')), at('2026-11-21T03:00:00Z'))
  assert.equal(nextSlot(nightly, at('2026-11-21T03:00:00Z')), at('2026-11-22T03:00:00Z'))
  const zurich = { ...nightly, timezone: 'Europe/Zurich' }
  assert.equal(nextSlot(zurich, at('2026-11-21T00:00:00Z')), at('2026-11-21T02:00:00Z'))
  assert.equal(nextSlot(zurich, at('2026-07-21T00:00:00Z')), at('2026-07-21T01:00:00Z'))
})

test('the last slot is the one that is now, or the one before', () => {
  const quarterly = { cron: '*/15 * * * *' }
  assert.equal(lastSlot(quarterly, at('2026-11-21T10:15:00Z')), at('2026-11-21T10:15:00Z'))
  assert.equal(lastSlot(quarterly, at('2026-11-21T10:14:59.999Z')), at('2026-11-21T10:00:00Z'))
  assert.equal(
    lastSlot({ cron: '*/2 * * * * *' }, at('2026-11-21T10:00:03.500Z')),
    at('2026-11-21T10:00:02Z'),
  )
})

test('a missed slot is due once, late, up to 18 hours after its time', () => {
  const nightly = { cron: '0 3 * * *' }
  const slot = at('2026-11-21T03:00:00Z')
  const due = (nowMs: number, sinceMs: number) =>
    dueSlot(nightly, { sinceMs, nowMs, lateMaxMs: missedRunMaxMs })
  assert.equal(due(slot, 0), slot)
  assert.equal(due(slot + 18 * HOUR_MS, 0), slot)
  assert.equal(due(slot + 18 * HOUR_MS + 1, 0), undefined)
  assert.equal(due(slot + HOUR_MS, slot), undefined, 'it has run')
  assert.equal(due(slot + HOUR_MS, slot + 1), undefined, 'it was before the schedule')
  const hourly = dueSlot(
    { cron: '0 * * * *' },
    { sinceMs: 0, nowMs: slot + 60_000, lateMaxMs: missedRunMaxMs },
  )
  assert.equal(hourly, slot, 'of several that were missed, the last')
})

test('a night that has an hour twice has its slot once, and one that lacks the hour has it too', () => {
  const daily = { cron: '30 2 * * *', timezone: 'Europe/Zurich' }
  const slots = (from: string, days: number) => {
    const found: string[] = []
    for (let afterMs = at(from); found.length < days; ) {
      afterMs = nextSlot(daily, afterMs) ?? Number.NaN
      found.push(new Date(afterMs).toISOString().slice(0, 10))
    }
    return found
  }
  assert.deepEqual(slots('2026-10-24T12:00:00Z', 3), ['2026-10-25', '2026-10-26', '2026-10-27'])
  assert.deepEqual(slots('2026-03-28T12:00:00Z', 3), ['2026-03-29', '2026-03-30', '2026-03-31'])
})

test('a rule that is none is refused with an example', () => {
  for (const [cron, timezone, why] of [
    ['every night', undefined, /exactly five/],
    ['61 * * * *', undefined, /61/],
    ['0 0 30 2 *', undefined, /it never comes/],
    ['* * * * *', 'Middle/Earth', /no time zone is named Middle\/Earth/],
  ] as const) {
    assert.throws(
      () => checkCron(cron, timezone),
      (error: Error) =>
        isNodeError(error, 'INVALID_CRON') && why.test(error.message) && /"0 3 \* \* \*"/.test(error.message),
      cron,
    )
    const record = { pipeline: 'p', cron, ...(timezone === undefined ? {} : { timezone }) }
    assert.equal(scheduleSchema.safeParse(record).success, false)
  }
  checkCron('@daily')
  checkCron('*/10 * * * * *', 'America/New_York')
})
