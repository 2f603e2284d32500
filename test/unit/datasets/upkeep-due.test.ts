import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DAY_MS, gcLooseObjectsMax, gcPacksMax, HOUR_MS } from '../../../src/base/limits.ts'
import { isDue, placeOf, wantsPacking } from '../../../src/datasets/upkeep/due.ts'
import { leastRecentlyUsed } from '../../../src/datasets/upkeep/eviction.ts'

const turn = { lastMs: 1_000 * DAY_MS, intervalMs: DAY_MS, place: 0.5 }

test('a dataset has its turn once the interval and its own share of the spread have passed', () => {
  const after = (ms: number) => isDue({ ...turn, nowMs: turn.lastMs + ms })
  assert.deepEqual([0, HOUR_MS, DAY_MS, DAY_MS * 1.04].map(after), [false, false, false, false])
  assert.deepEqual([DAY_MS * 1.06, 10 * DAY_MS].map(after), [true, true])
  assert.equal(isDue({ ...turn, place: 0, nowMs: turn.lastMs + DAY_MS }), true)
})

test('a clock that was set back by years does not put a turn off by years', () => {
  assert.equal(isDue({ ...turn, nowMs: turn.lastMs - HOUR_MS }), false)
  assert.equal(isDue({ ...turn, nowMs: turn.lastMs - 300 * DAY_MS }), true)
})

test('datasets and nodes have places of their own, and keep them', () => {
  const places = ['air', 'soil', 'ice'].flatMap((dataset) =>
    ['alice', 'bob'].map((node) => placeOf(dataset, node)),
  )
  assert.equal(new Set(places).size, 6)
  assert(places.every((place) => place >= 0 && place < 1))
  assert.equal(placeOf('air', 'alice'), places[0])
})

test('many loose objects or packs are not waited with, unless the last collection had to leave them', () => {
  const few = { looseObjects: gcLooseObjectsMax - 1, packs: gcPacksMax - 1 }
  assert.equal(wantsPacking(few), false)
  assert.equal(wantsPacking({ ...few, looseObjects: gcLooseObjectsMax }), true)
  assert.equal(wantsPacking({ ...few, packs: gcPacksMax }), true)
  const left = { looseObjects: 5 * gcLooseObjectsMax, packs: 1 }
  assert.equal(wantsPacking(left, left), false)
  assert.equal(wantsPacking({ ...left, looseObjects: 6 * gcLooseObjectsMax }, left), true)
})

test('what was used least recently goes, as much as has to and nothing that is in use', () => {
  const one = (used: number, evictable = true) => ({ bytes: 10, used, evictable })
  const all = [one(3), one(1, false), one(2), one(4)]
  const going = (bytesMax: number) => leastRecentlyUsed(all, bytesMax).map(({ used }) => used)
  assert.deepEqual([going(40), going(39), going(20), going(0)], [[], [2], [2, 3], [2, 3, 4]])
})
