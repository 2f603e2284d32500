import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import {
  checkCron,
  runnersOf,
  type Schedule,
  scheduleSchema,
  termsOf,
} from '../../../src/execution/schedules/schedule.ts'

test('a record of an earlier version stays valid, and means what it always did', () => {
  const old: Schedule = {
    pipeline: 'nightly',
    cron: '0 3 * * *',
    timezone: 'Europe/Zurich',
    round: { windowMs: 60_000 },
  }
  const read = scheduleSchema.parse(old)
  assert.deepEqual(read, old, 'nothing is added to it, so its bytes stay the same')
  assert.deepEqual(termsOf(read), {
    overlap: 'skip',
    missed: 'last',
    jitterMs: 0,
    paused: false,
    scope: 'every-member',
    takeOverMs: 60_000,
  })
  assert.equal(runnersOf(read), undefined, 'every member runs it')
})

test('a record says who runs a slot and what becomes of those that overlap or are missed', () => {
  const rest = { pipeline: 'p', cron: '@daily' }
  const full = {
    ...rest,
    overlap: 'queue' as const,
    missed: 'all' as const,
    jitterMs: 60_000,
    paused: true,
    scope: { k: 3 },
    takeOverMs: 5_000,
    priority: -7,
  }
  assert.deepEqual(scheduleSchema.parse(full), full)
  assert.equal(runnersOf({ scope: 'once' }), 1)
  assert.equal(runnersOf({ scope: { k: 3 } }), 3)
  for (const wrong of [
    { scope: { k: 0 } },
    { scope: { k: 65 } },
    { scope: 'twice' },
    { overlap: 'kill' },
    { missed: 'some' },
    { jitterMs: 3_600_001 },
    { takeOverMs: 2_999 },
    { priority: 101 },
  ]) {
    assert.equal(scheduleSchema.safeParse({ ...rest, ...wrong }).success, false, JSON.stringify(wrong))
  }
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
