import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as soon } from 'node:timers/promises'
import { AuthorLanes } from '../../../src/datasets/author-lanes.ts'
import { Distrust } from '../../../src/datasets/exchange/distrust.ts'

const never = () => new Promise<void>(() => undefined)

test('whoever has announced much waits for itself, and nobody else for it', async () => {
  const lanes = new AuthorLanes({ atOnceMax: 2, failingMin: 8 })
  let begun = 0
  for (let i = 0; i < 50; i += 1) {
    void lanes.run('mallory', () => {
      begun += 1
      return never()
    })
  }
  await lanes.run('alice', async () => undefined)
  await soon()
  assert.equal(begun, 2)
})

test('many heads of one author that fail are not tried more often than a few', () => {
  const lanes = new AuthorLanes({ atOnceMax: 2, failingMin: 8 })
  const times = Array.from({ length: 80 }, (_, i) => lanes.failed('mallory', `head-${i}`))
  assert.deepEqual([times[0], times[7], times[15], times[79]], [1, 1, 2, 10])
  assert.equal(lanes.failed('mallory', 'head-3'), 10)
  assert.equal(lanes.failed('alice', 'head-3'), 1)
  for (let i = 0; i < 79; i += 1) lanes.ended('mallory', `head-${i}`)
  assert.equal(lanes.failed('mallory', 'another'), 1)
})

test('whoever sends what does not hold is asked more and more seldom, and at last as before', () => {
  let now = 0
  const distrust = new Distrust({ firstMs: 100, longestMs: 1_000 }, () => now)
  const pauses: number[] = []
  for (let i = 0; i < 6; i += 1) {
    distrust.rejected('mallory')
    const from = now
    while (!distrust.mayAsk('mallory')) now += 50
    pauses.push(now - from)
  }
  assert.deepEqual(pauses, [100, 200, 400, 800, 1_000, 1_000])
  assert.equal(distrust.mayAsk('alice'), true)
  // One that holds does not make up for one that does not.
  distrust.held('mallory')
  distrust.rejected('mallory')
  now += 900
  assert.equal(distrust.mayAsk('mallory'), false)
  for (let i = 0; i < 20; i += 1) distrust.held('mallory')
  distrust.rejected('mallory')
  now += 100
  assert.equal(distrust.mayAsk('mallory'), true)
})
