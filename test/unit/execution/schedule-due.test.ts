import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../../src/base/limits.ts'
import { dueSlots } from '../../../src/execution/schedules/due.ts'
import type { Schedule } from '../../../src/execution/schedules/schedule.ts'
import { jitterOf } from '../../../src/execution/schedules/slots.ts'

const at = (text: string) => Date.parse(text)
const THREE = at('2026-11-21T03:00:00Z')
const nightly: Schedule = { pipeline: 'p', cron: '0 3 * * *' }
const hourly: Schedule = { pipeline: 'p', cron: '0 * * * *' }
const due = (schedule: Schedule, nowMs: number, sinceMs = 0) =>
  dueSlots(schedule, { sinceMs, nowMs, who: 'amy' })

test('a missed slot is due once, late, up to 18 hours after its time', () => {
  assert.deepEqual(due(nightly, THREE - 1).start, [])
  assert.deepEqual(due(nightly, THREE, THREE - 1), {
    start: [THREE],
    passed: [],
    nextMs: THREE + 24 * HOUR_MS,
  })
  assert.deepEqual(due(nightly, THREE + 18 * HOUR_MS).start, [THREE])
  for (const missed of ['all', 'last', 'none'] as const) {
    const late = due({ ...nightly, missed }, THREE + 20 * HOUR_MS, THREE - 48 * HOUR_MS)
    assert.deepEqual([late.start, late.passed], [[], [THREE]], 'that it was missed is known')
  }
  const back = due(nightly, THREE + 2 * HOUR_MS, THREE - 48 * HOUR_MS)
  assert.deepEqual([back.start, back.passed], [[THREE], [THREE - 24 * HOUR_MS]])
  assert.deepEqual(due(nightly, THREE + 20 * HOUR_MS, THREE).passed, [], 'and told once')
  assert.deepEqual(due(nightly, THREE + HOUR_MS, THREE).start, [], 'it has run')
  assert.deepEqual(due(nightly, THREE + HOUR_MS, THREE + 1).start, [], 'it was before the schedule')
})

test('of several that were missed, the last runs unless the schedule says otherwise, and the others are told', () => {
  const now = THREE + MINUTE_MS / 2
  const four = [0, 1, 2, 3].map((back) => THREE - back * HOUR_MS).reverse()
  const since = THREE - 4 * HOUR_MS
  assert.deepEqual(due(hourly, now, since).start, [THREE])
  assert.deepEqual(due(hourly, now, since).passed, four.slice(0, 3))
  assert.deepEqual(due({ ...hourly, missed: 'all' }, now, since).start, four)
  assert.deepEqual(due({ ...hourly, missed: 'all' }, now, since).passed, [])
  assert.deepEqual(due({ ...hourly, missed: 'none' }, now, since).start, [THREE], 'this one is on time')
  const late = due({ ...hourly, missed: 'none' }, THREE + 2 * MINUTE_MS, since)
  assert.deepEqual(late.start, [])
  assert.deepEqual(late.passed, four)
})

test('however long the outage, what follows it is bounded', () => {
  const minutely: Schedule = { pipeline: 'p', cron: '* * * * *', missed: 'all' }
  const { start, passed } = due(minutely, THREE)
  assert.equal(start.length, 24)
  assert.equal(start.at(-1), THREE)
  assert.equal(passed.length, 1, 'that more were missed is known')
  const rare = due({ ...hourly, missed: 'all' }, THREE)
  assert.equal(rare.start.length, 19, '18 hours back, and no further')
})

test('a slot with a jitter is begun when its jitter is over', () => {
  const schedule: Schedule = { ...nightly, jitterMs: HOUR_MS }
  const jitterMs = jitterOf(schedule, THREE, 'amy')
  assert(jitterMs > SECOND_MS, `${jitterMs}`)
  const since = THREE - HOUR_MS
  assert.deepEqual(due(schedule, THREE + jitterMs - 1, since), {
    start: [],
    passed: [],
    nextMs: THREE + jitterMs,
  })
  assert.deepEqual(due(schedule, THREE + jitterMs, since).start, [THREE])
  const onTime = due({ ...schedule, missed: 'none' }, THREE + jitterMs + MINUTE_MS, since)
  assert.deepEqual(onTime.start, [THREE], 'its time is the one with the jitter')
})

test('a clock that is put forward over an hour runs what lay there as the schedule has it, not as a storm', () => {
  const quarterly: Schedule = { pipeline: 'p', cron: '*/15 * * * *' }
  const { start, passed } = due(quarterly, THREE + 61 * MINUTE_MS, THREE)
  assert.deepEqual(start, [THREE + HOUR_MS])
  assert.equal(passed.length, 3)
})

test('a day with a change of clocks has as many slots as it has hours, and a daily rule has one', () => {
  for (const [from, to, hours] of [
    ['2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z', 23],
    ['2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z', 25],
  ] as const) {
    const begun: number[] = []
    const daily: number[] = []
    for (let now = at(from); now < at(to); now += 5 * MINUTE_MS) {
      begun.push(...due({ ...hourly, timezone: 'Europe/Zurich' }, now, begun.at(-1) ?? at(from) - 1).start)
      const halfPastTwo = { ...nightly, cron: '30 2 * * *', timezone: 'Europe/Zurich' }
      daily.push(...due(halfPastTwo, now, daily.at(-1) ?? at(from) - 1).start)
    }
    assert.equal(begun.length, hours)
    assert.equal(daily.length, 1)
  }
})
