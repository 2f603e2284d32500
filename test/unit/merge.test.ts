import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { arrange, type Roster } from '../../src/federation/keyspace.ts'
import { merge } from '../../src/registry/merge.ts'
import { compare } from '../../src/registry/order.ts'
import { EVERYTHING } from '../../src/registry/ranges.ts'
import type { SealedRecord } from '../../src/registry/record.ts'
import { State } from '../../src/registry/state.ts'
import { plainRecord, take } from '../support/records.ts'

/** Two operators (op, ox), three members, one of them admitted late. */
const roster: Roster = {
  role: (peer) => (peer.startsWith('o') ? 'operator' : 'member'),
  admittedMs: (peer) => (peer === 'late' ? 5_000 : 0),
}
const order = (claims: readonly SealedRecord[]) => arrange(claims, roster)

const anyRecord = fc
  .record({
    key: fc.constantFrom('/tools/a', '/tools/b', '/members/x', '/truth/d'),
    author: fc.constantFrom('op', 'ox', 'amy', 'ben', 'late'),
    version: fc.integer({ min: 1, max: 4 }),
    time: fc.integer({ min: 1, max: 9_000 }),
    value: fc.option(fc.uint8Array({ minLength: 1, maxLength: 1 })),
  })
  .map(plainRecord)

function mergeAll(records: readonly SealedRecord[]): State {
  const state = new State()
  for (const record of records) take(state, record, order)
  return state
}

test('any order of arrival, with repeats, gives one state and shows one value', () => {
  const arrivals = fc
    .array(anyRecord, { maxLength: 30 })
    .chain((records) =>
      fc.tuple(
        fc.constant(records),
        fc.shuffledSubarray([...records, ...records], { minLength: records.length * 2 }),
      ),
    )
  fc.assert(
    fc.property(arrivals, ([records, shuffled]) => {
      const [one, other] = [mergeAll(records), mergeAll(shuffled)]
      assert.equal(one.index.digest(EVERYTHING), other.index.digest(EVERYTHING))
      for (const key of one.keys()) assert.equal(one.claims(key)[0]?.hash, other.claims(key)[0]?.hash)
    }),
    { numRuns: 2_000 },
  )
})

test('the order is total: antisymmetric, transitive, and equal only for one record', () => {
  fc.assert(
    fc.property(anyRecord, anyRecord, anyRecord, (a, b, c) => {
      assert.equal(Math.sign(compare(a, b)), -Math.sign(compare(b, a)))
      if (compare(a, b) === 0) assert.equal(a.hash, b.hash)
      if (compare(a, b) <= 0 && compare(b, c) <= 0) assert(compare(a, c) <= 0)
    }),
    { numRuns: 2_000 },
  )
})

test('merging a record that is known, or an older one of its author, changes nothing', () => {
  fc.assert(
    fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 20 }), (records) => {
      const state = mergeAll(records)
      const before = state.index.digest(EVERYTHING)
      for (const record of records) assert.notEqual(merge(state, record, order).outcome, 'newer')
      assert.equal(mergeAll([...records, ...records]).index.digest(EVERYTHING), before)
    }),
  )
})

test('a state full of claims takes only the claim that is preferred to one it holds', () => {
  const claims = Array.from({ length: 16 }, (_, n) =>
    plainRecord({ key: '/tools/a', author: `m${String(n).padStart(2, '0')}`, time: 1_000 + n }),
  )
  const state = mergeAll(claims)
  assert.equal(
    merge(state, plainRecord({ key: '/tools/a', author: 'zed', time: 8_000 }), order).outcome,
    'crowded',
  )
  const early = plainRecord({ key: '/tools/a', author: 'zed', time: 5 })
  const merged = merge(state, early, order)
  assert.equal(merged.outcome === 'newer' && merged.dropped?.author, 'm15')
})

test('one author cannot fill the memory of all: beyond its share its records are not kept, and others are', () => {
  const state = new State()
  const envelope = new Uint8Array(64 * 1024)
  const large = (author: string, n: number, version = 1) => ({
    ...plainRecord({ key: `/tools/t${n}`, author, version }),
    envelope,
  })
  let kept = 0
  while (merge(state, large('amy', kept), order).outcome === 'newer') {
    take(state, large('amy', kept), order)
    kept += 1
    assert(kept < 10_000, 'there is no end to it')
  }
  assert.equal(merge(state, large('ben', 0), order).outcome, 'newer')
  const small = { ...large('amy', 0, 2), envelope: new Uint8Array(10) }
  assert.equal(merge(state, small, order).outcome, 'newer', 'it may still make its own smaller')
  take(state, small, order)
  state.replace('/tools/t1', [])
  assert.equal(
    merge(state, large('amy', kept), order).outcome,
    'newer',
    'room that was given back can be used',
  )
})

test('nor by giving the versions of small records large second values', () => {
  const state = new State()
  const of = (n: number, bytes: number, text: string) => ({
    ...plainRecord({ key: `/tools/t${n}`, author: 'amy', value: Buffer.from(text) }),
    envelope: new Uint8Array(bytes),
  })
  const [first, second] = [of(0, 10, 'one'), of(0, 10, 'other')].sort(compare)
  assert(first && second)
  const [lower, higher] = [first, { ...second, envelope: new Uint8Array(64 * 1024) }]
  take(state, lower, order)
  const large = (n: number) => ({ ...of(n, 0, 'x'), envelope: higher.envelope })
  for (let n = 1; merge(state, large(n), order).outcome === 'newer'; n += 1) take(state, large(n), order)
  assert.equal(merge(state, higher, order).outcome, 'crowded')
  state.replace('/tools/t1', [])
  assert.equal(merge(state, higher, order).outcome, 'equivocation')
})

/** Of any clocks, some expiring, some at the end of the scale; and several values for one version. */
const skewedRecord = fc
  .record({
    key: fc.constantFrom('/tools/a', '/shared/s', '/members/x', '/heads/d/amy'),
    author: fc.constantFrom('op', 'ox', 'amy', 'ben', 'late', 'gone'),
    version: fc.oneof(
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom(2 ** 38, 2 ** 39, 2 ** 39 + 1, 2 ** 40),
    ),
    time: fc.constantFrom(0, 1, 5_000, Date.UTC(2100, 0)),
    since: fc.constantFrom(0, 1, 5_000, Date.UTC(2100, 0)),
    expires: fc.option(fc.nat(9_000), { nil: undefined }),
    value: fc.option(fc.uint8Array({ minLength: 1, maxLength: 1 })),
  })
  .map(plainRecord)
const few = fc.array(skewedRecord, { maxLength: 12 })

const told = (state: State) =>
  JSON.stringify([...state.keys()].sort().map((key) => state.claims(key).map(({ hash }) => hash)))

/** All that two registries hold, as when one has caught up with the other. */
function union(one: State, other: State): State {
  return mergeAll([...one.index.within(EVERYTHING), ...other.index.within(EVERYTHING)])
}

test('registries merge commutatively, associatively and idempotently, whatever the clocks and ties', () => {
  fc.assert(
    fc.property(few, few, few, (first, second, third) => {
      const [a, b, c] = [mergeAll(first), mergeAll(second), mergeAll(third)]
      assert.equal(told(union(a, b)), told(union(b, a)))
      assert.equal(told(union(union(a, b), c)), told(union(a, union(b, c))))
      assert.equal(told(union(a, a)), told(a))
      assert.equal(told(union(a, b)), told(mergeAll([...second, ...first])))
      assert.equal(union(a, b).index.digest(EVERYTHING), union(b, a).index.digest(EVERYTHING))
    }),
    { numRuns: 1_000 },
  )
})

test('an arrangement looks at the set of claims alone', () => {
  const claims = few.map((records) => [
    ...new Map(records.map((one) => [one.author, { ...one, key: '/tools/a' }])).values(),
  ])
  const shuffled = claims.chain((given) =>
    fc.tuple(fc.constant(given), fc.shuffledSubarray(given, { minLength: given.length })),
  )
  fc.assert(
    fc.property(shuffled, ([given, other]) => {
      const [one, two] = [order(given), order(other)]
      assert.deepEqual(
        one.map(({ hash }) => hash),
        two.map(({ hash }) => hash),
      )
      assert.equal(one.length, given.length)
    }),
    { numRuns: 1_000 },
  )
})
