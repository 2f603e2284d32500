import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseArguments } from '../bench/arguments.ts'
import { median, percentile, type Row, ratio, row, table } from '../bench/figures.ts'
import { callsPerSecond, inTurns } from '../bench/harness.ts'

test('the median is the value in the middle, however the values came', () => {
  assert.equal(median([9, 1, 5]), 5)
  assert.equal(median([4, 1, 3, 2]), 2.5)
  assert.equal(median([7]), 7)
  assert.throws(() => median([]), RangeError)
})

test('a percentile is a value that was measured', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index)
  assert.equal(percentile(hundred, 0.5), 50)
  assert.equal(percentile(hundred, 0.99), 99)
  assert.equal(percentile(hundred, 1), 100)
  assert.equal(percentile([3, 4], 0.99), 4)
  assert.equal(percentile([3], 0.01), 3)
  assert.throws(() => percentile([], 0.5), RangeError)
})

test('a ratio is ours to the anchor, and none where there is no anchor', () => {
  assert.equal(ratio(2, 3), 0.667)
  assert.equal(ratio(5, null), null)
  assert.equal(ratio(5, 0), null)
  const measured = { name: 'put', ours: 3, anchor: 4, unit: '/s', aim: '>= 1.00x' }
  assert.deepEqual(row(measured), { ...measured, ratio: 0.75 })
  const fine = { ...measured, ours: 12345.678, anchor: 0.01234567 }
  assert.deepEqual(row(fine), { ...measured, ours: 12350, anchor: 0.01235, ratio: 1000000.648 })
})

test('the table lines its columns up, numbers to the right', () => {
  const rows: Row[] = [
    { name: 'put', ours: 12345.6, anchor: 0.012345, unit: '/s', ratio: 1.5, aim: 'fast' },
    { name: 'catch-up', ours: 1, anchor: null, unit: 'records/s', ratio: null, aim: 'faster' },
  ]
  assert.deepEqual(table(rows).split('\n'), [
    'name       ours  anchor  unit       ratio  aim',
    'put       12346  0.0123  /s           1.5  fast',
    'catch-up      1       -  records/s      -  faster',
  ])
  assert.equal(table([]), 'name  ours  anchor  unit  ratio  aim')
})

test('arguments are a name and two options, in any order', () => {
  const names = ['registry', 'datasets'] as const
  const plain = { name: 'registry', json: false, quick: false }
  assert.deepEqual(parseArguments(['registry'], names), plain)
  const both = { name: 'datasets', json: true, quick: true }
  assert.deepEqual(parseArguments(['--json', 'datasets', '--quick'], names), both)
  const problems: readonly (readonly [args: readonly string[], problem: string])[] = [
    [[], 'which bench?'],
    [['--json'], 'which bench?'],
    [['etcd'], 'there is no bench etcd'],
    [['registry', 'datasets'], 'one bench at a time, not also datasets'],
    [['registry', '--slow'], 'unknown option --slow'],
  ]
  for (const [args, problem] of problems) assert.deepEqual(parseArguments(args, names), { problem })
})

test('subjects take turns, and who begins changes', async () => {
  const order: string[] = []
  const subject = (name: string) => async () => order.push(name)
  const measured = await inTurns(3, { ours: subject('ours'), anchor: subject('anchor') })
  assert.deepEqual(order, ['ours', 'anchor', 'anchor', 'ours', 'ours', 'anchor'])
  assert.deepEqual(measured, { ours: [1, 4, 5], anchor: [2, 3, 6] })
})

test('callers share the calls, each made once, and never more at once than asked for', async () => {
  const made: number[] = []
  let [busy, busiest] = [0, 0]
  const rate = await callsPerSecond(10, 3, async (index) => {
    made.push(index)
    busy += 1
    busiest = Math.max(busiest, busy)
    await new Promise((resolve) => setImmediate(resolve))
    busy -= 1
  })
  assert.deepEqual(made, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  assert.equal(busiest, 3)
  assert(rate > 0)
})
