import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DAY_MS } from '../../src/base/limits.ts'
import { arrange, type Roster } from '../../src/federation/keyspace.ts'
import type { SealedRecord } from '../../src/registry/record.ts'
import { State } from '../../src/registry/state.ts'
import { isForgotten, outliving } from '../../src/registry/sweep.ts'
import { plainRecord, take } from '../support/records.ts'

const roster: Roster = {
  role: (peer) => (peer.startsWith('op') ? 'operator' : 'member'),
  admittedMs: () => 0,
}
const order = (claims: readonly SealedRecord[]) => arrange(claims, roster)

function stateOf(...records: SealedRecord[]): State {
  const state = new State()
  for (const record of records) take(state, record, order)
  return state
}

/** Sweeps day by day and gives what is shown at the end of each. */
function shownOver(state: State, key: string, days: number): (string | null | undefined)[] {
  const shown: (string | null | undefined)[] = []
  for (let day = 0; day <= days; day += 1) {
    state.replace(key, order(outliving(state.claims(key), day * DAY_MS)))
    const first = state.claims(key)[0]
    shown.push(first === undefined ? undefined : first.value === null ? null : first.author)
  }
  return shown
}

test('what an operator deleted does not come back when the tombstone is forgotten', () => {
  const state = stateOf(
    plainRecord({ key: '/tools/x', author: 'amy', version: 1, time: 1 }),
    plainRecord({ key: '/tools/x', author: 'op', version: 2, time: 2, value: null }),
  )
  const shown = shownOver(state, '/tools/x', 40)
  assert.deepEqual(new Set(shown), new Set([null, undefined]))
  assert.equal(state.index.size, 0)
})

test('a member that one operator removed stays removed, whoever admitted it', () => {
  const state = stateOf(
    plainRecord({ key: '/members/x', author: 'op-a', version: 1, time: 1 }),
    plainRecord({ key: '/members/x', author: 'op-b', version: 2, time: 2, value: null }),
  )
  assert.deepEqual(new Set(shownOver(state, '/members/x', 40)), new Set([null, undefined]))
})

test('a claim made after the deletion outlives the tombstone, and the buried one does not return', () => {
  const state = stateOf(
    plainRecord({ key: '/tools/x', author: 'amy', version: 1, time: 1 }),
    plainRecord({ key: '/tools/x', author: 'op', version: 2, time: 2, value: null }),
    plainRecord({ key: '/tools/x', author: 'ben', version: 3, time: 3 }),
  )
  assert.deepEqual(new Set(shownOver(state, '/tools/x', 40)), new Set(['ben']))
})

test('what is buried goes a day before the tombstone, so that slower sweepers cannot hand it back', () => {
  const state = stateOf(
    plainRecord({ key: '/tools/x', author: 'amy', version: 1, time: 1 }),
    plainRecord({ key: '/tools/x', author: 'op', version: 2, time: 2, value: null }),
  )
  assert.deepEqual(
    outliving(state.claims('/tools/x'), 30.5 * DAY_MS).map((record) => record.author),
    ['op'],
  )
})

test('an expired record is forgotten at its time', () => {
  const state = stateOf(plainRecord({ key: '/presence/amy', author: 'amy', expires: 5_000 }))
  assert.equal(outliving(state.claims('/presence/amy'), 4_999).length, 1)
  assert.equal(outliving(state.claims('/presence/amy'), 5_000).length, 0)
})

test('what a tombstone has buried long ago is not taken back, and a tombstone that is over neither', () => {
  const buried = plainRecord({ key: '/tools/x', author: 'amy', version: 1, time: 1 })
  const tombstone = plainRecord({ key: '/tools/x', author: 'op', version: 2, time: 2, value: null })
  const later = plainRecord({ key: '/tools/x', author: 'ben', version: 3, time: 3 })
  const held = stateOf(tombstone)
  const forgotten = (record: SealedRecord, days: number) => isForgotten(held, record, order, days * DAY_MS)
  assert.equal(forgotten(buried, 29), false)
  assert.equal(forgotten(buried, 30.5), true)
  assert.equal(forgotten(later, 30.5), false)
  assert.equal(forgotten(tombstone, 30.5), false)
  assert.equal(forgotten(tombstone, 31.5), true)
  assert.equal(isForgotten(new State(), buried, order, 40 * DAY_MS), false, 'an old record is as good as any')
})
