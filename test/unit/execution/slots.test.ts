import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { HOUR_MS, MINUTE_MS } from '../../../src/base/limits.ts'
import { jitterOf, lastSlot, nextSlot, nextSlots, type Rule } from '../../../src/execution/schedules/slots.ts'

const at = (text: string) => Date.parse(text)
const utc = (ms: number | undefined) =>
  ms === undefined ? 'never' : new Date(ms).toISOString().replace('.000Z', 'Z')

/** All slots in (from, to], found forwards. */
function forwards(rule: Rule, from: string, to: string): string[] {
  const found: string[] = []
  for (
    let slot = nextSlot(rule, at(from));
    slot !== undefined && slot <= at(to);
    slot = nextSlot(rule, slot)
  ) {
    found.push(utc(slot))
  }
  return found
}

/** The same, found backwards, as the scheduler does it. */
function backwards(rule: Rule, from: string, to: string): string[] {
  const found: string[] = []
  for (
    let slot = lastSlot(rule, at(to));
    slot !== undefined && slot > at(from);
    slot = lastSlot(rule, slot - 1)
  ) {
    found.unshift(utc(slot))
  }
  return found
}

const every = (minutes: number, from: string, to: string) => {
  const found: string[] = []
  for (let ms = at(from) + minutes * MINUTE_MS; ms <= at(to); ms += minutes * MINUTE_MS) found.push(utc(ms))
  return found
}

/** What clocks on walls do, and what the rules come to, in UTC. Zurich has UTC+1 in winter and UTC+2 in summer. */
const SPRING = ['2026-03-28T20:00:00Z', '2026-03-30T20:00:00Z'] as const
const AUTUMN = ['2026-10-24T20:00:00Z', '2026-10-26T20:00:00Z'] as const
const ZURICH = 'Europe/Zurich'
const TABLE: readonly [why: string, rule: Rule, from: string, to: string, slots: readonly string[]][] = [
  [
    'spring: 02:30 does not exist on the 29th, and is run when the gap ends, at 03:00',
    { cron: '30 2 * * *', timezone: ZURICH },
    ...SPRING,
    ['2026-03-29T01:00:00Z', '2026-03-30T00:30:00Z'],
  ],
  [
    'spring: 03:00 exists, and the gap ends just there',
    { cron: '0 3 * * *', timezone: ZURICH },
    ...SPRING,
    ['2026-03-29T01:00:00Z', '2026-03-30T01:00:00Z'],
  ],
  [
    'spring: two o’clock and three are one instant, and that is one slot',
    { cron: '0 2,3 * * *', timezone: ZURICH },
    ...SPRING,
    ['2026-03-29T01:00:00Z', '2026-03-30T00:00:00Z', '2026-03-30T01:00:00Z'],
  ],
  [
    'autumn: 02:30 comes twice on the 25th, and the first counts',
    { cron: '30 2 * * *', timezone: ZURICH },
    ...AUTUMN,
    ['2026-10-25T00:30:00Z', '2026-10-26T01:30:00Z'],
  ],
  [
    'autumn: 03:00 comes once',
    { cron: '0 3 * * *', timezone: ZURICH },
    ...AUTUMN,
    ['2026-10-25T02:00:00Z', '2026-10-26T02:00:00Z'],
  ],
  [
    'spring: every quarter of an hour',
    { cron: '*/15 * * * *', timezone: ZURICH },
    ...SPRING,
    every(15, ...SPRING),
  ],
  [
    'autumn: every quarter of an hour',
    { cron: '*/15 * * * *', timezone: ZURICH },
    ...AUTUMN,
    every(15, ...AUTUMN),
  ],
  ['autumn: every hour', { cron: '0 * * * *', timezone: ZURICH }, ...AUTUMN, every(60, ...AUTUMN)],
  [
    'New York, spring: 02:30 on the 8th moves to 03:00',
    { cron: '30 2 * * *', timezone: 'America/New_York' },
    '2026-03-07T12:00:00Z',
    '2026-03-09T12:00:00Z',
    ['2026-03-08T07:00:00Z', '2026-03-09T06:30:00Z'],
  ],
  [
    'New York, autumn: 01:30 on the first of November comes twice',
    { cron: '30 1 * * *', timezone: 'America/New_York' },
    '2026-10-31T12:00:00Z',
    '2026-11-02T12:00:00Z',
    ['2026-11-01T05:30:00Z', '2026-11-02T06:30:00Z'],
  ],
  [
    'Lord Howe: clocks change by half an hour',
    { cron: '*/15 * * * *', timezone: 'Australia/Lord_Howe' },
    '2026-10-03T14:00:00Z',
    '2026-10-03T18:00:00Z',
    every(15, '2026-10-03T14:00:00Z', '2026-10-03T18:00:00Z'),
  ],
  [
    'without a zone, a rule knows no change of clocks',
    { cron: '30 2 * * *' },
    ...SPRING,
    ['2026-03-29T02:30:00Z', '2026-03-30T02:30:00Z'],
  ],
  [
    'a leap day comes when it comes',
    { cron: '0 12 29 2 *' },
    '2026-01-01T00:00:00Z',
    '2036-12-31T00:00:00Z',
    ['2028-02-29T12:00:00Z', '2032-02-29T12:00:00Z', '2036-02-29T12:00:00Z'],
  ],
  [
    'the last day of a month, in a leap year too',
    { cron: '0 0 L * *', timezone: ZURICH },
    '2028-01-30T00:00:00Z',
    '2028-04-01T00:00:00Z',
    ['2028-01-30T23:00:00Z', '2028-02-28T23:00:00Z', '2028-03-30T22:00:00Z'],
  ],
]

for (const [why, rule, from, to, slots] of TABLE) {
  test(`${rule.timezone ?? 'UTC'} "${rule.cron}" ${why}`, () => {
    assert.deepEqual(forwards(rule, from, to), slots)
    assert.deepEqual(backwards(rule, from, to), slots, 'looked for from behind')
    assert.equal(new Set(slots).size, slots.length)
  })
}

test('the last slot is the one that is now, or the one before', () => {
  const quarterly = { cron: '*/15 * * * *' }
  assert.equal(lastSlot(quarterly, at('2026-11-21T10:15:00Z')), at('2026-11-21T10:15:00Z'))
  assert.equal(lastSlot(quarterly, at('2026-11-21T10:14:59.999Z')), at('2026-11-21T10:00:00Z'))
  const seconds = { cron: '*/2 * * * * *' }
  assert.equal(lastSlot(seconds, at('2026-11-21T10:00:03.500Z')), at('2026-11-21T10:00:02Z'))
})

test('slots found backwards are those found forwards, over any change of clocks', () => {
  const rule = fc.record({
    cron: fc.constantFrom(
      '30 2 * * *',
      '0 * * * *',
      '*/15 * * * *',
      '15 1-3 * * *',
      '*/20 2 * * *',
      '0 0 * * 0',
      '5 4 1 * *',
    ),
    timezone: fc.constantFrom(
      ZURICH,
      'America/New_York',
      'Australia/Lord_Howe',
      'Asia/Kolkata',
      'America/Santiago',
      'UTC',
    ),
  })
  const hour = fc.integer({
    min: at('2025-01-01T00:00:00Z') / HOUR_MS,
    max: at('2029-01-01T00:00:00Z') / HOUR_MS,
  })
  fc.assert(
    fc.property(rule, hour, (each, hours) => {
      const slot = nextSlot(each, hours * HOUR_MS)
      assert(slot !== undefined && slot > hours * HOUR_MS)
      assert.equal(lastSlot(each, slot), slot)
      const after = nextSlot(each, slot)
      assert(after !== undefined && after > slot)
      assert.equal(lastSlot(each, after - 1), slot)
    }),
    { numRuns: 400 },
  )
})

test('members in any time zone come to the same slots', () => {
  const program = `
    import { nextSlots, lastSlot } from '${join(import.meta.dirname, '../../../src/execution/schedules/slots.ts')}'
    const of = (timezone) => [Date.parse('2026-03-28T20:00:00Z'), Date.parse('2026-10-24T20:00:00Z')].flatMap((from) =>
      ['30 2 * * *', '*/15 * * * *', '0 9 * * 1'].flatMap((cron) => [...nextSlots({ cron, timezone }, from, 40), lastSlot({ cron, timezone }, from)]))
    console.log(JSON.stringify([new Date(2026, 0, 1).getTimezoneOffset(), of('Europe/Zurich'), of(undefined)]))`
  const answers = ['UTC', 'America/Los_Angeles', 'Asia/Kolkata'].map((TZ) => {
    const text = execFileSync(process.execPath, ['--input-type=module-typescript', '-e', program], {
      env: { ...process.env, TZ },
      encoding: 'utf8',
    })
    return JSON.parse(text) as [number, number[], number[]]
  })
  assert.deepEqual(
    answers.map(([offset]) => offset),
    [0, 480, -330],
    'the processes were in different zones',
  )
  for (const [, zurich, without] of answers) {
    assert.deepEqual(zurich, answers[0]?.[1])
    assert.deepEqual(without, answers[0]?.[2])
  }
})

test('a jitter is drawn once for a member and a slot, and keeps the slots in order', () => {
  const schedule = { pipeline: 'p', cron: '*/5 * * * *', jitterMs: HOUR_MS }
  const slots = nextSlots(schedule, at('2026-11-21T10:00:00Z'), 50)
  const drawn = slots.map((slot) => jitterOf(schedule, slot, 'amy'))
  assert.deepEqual(
    drawn,
    slots.map((slot) => jitterOf(schedule, slot, 'amy')),
  )
  assert(drawn.every((ms) => ms >= 0 && ms < 5 * MINUTE_MS))
  assert(new Set(drawn).size > 45, 'it differs between slots')
  assert.notEqual(jitterOf(schedule, slots[0] as number, 'ben'), drawn[0])
  const starts = slots.map((slot, place) => slot + (drawn[place] as number))
  assert.deepEqual(
    starts,
    starts.toSorted((a, b) => a - b),
  )
  assert.equal(jitterOf({ ...schedule, jitterMs: 0 }, slots[0] as number, 'amy'), 0)
})
