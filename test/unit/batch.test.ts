import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Batch } from '../../src/registry/batch.ts'
import type { Draft } from '../../src/registry/draft.ts'
import { History } from '../../src/registry/history.ts'
import { EVERY_KEY } from '../../src/registry/key-range.ts'
import { EVERYTHING } from '../../src/registry/ranges.ts'
import { State } from '../../src/registry/state.ts'
import { openPolicy, plainRecord, standingOf } from '../support/records.ts'

interface Work {
  readonly writes: readonly { readonly key: string; readonly n: number; readonly shared: boolean }[]
  readonly fails: boolean
}
const work: fc.Arbitrary<Work> = fc.record({
  writes: fc.array(
    fc.record({
      key: fc.constantFrom('/a', '/b', '/c'),
      n: fc.integer({ min: 1, max: 5 }),
      shared: fc.boolean(),
    }),
    { maxLength: 3 },
  ),
  fails: fc.boolean(),
})

function run(draft: Draft, { writes, fails }: Work): number {
  for (const { key, n, shared } of writes) {
    const value = new Uint8Array([n])
    if (shared)
      draft.take(plainRecord({ key: `/shared${key}`, author: 'amy', version: n, value }), openPolicy.arrange)
    else if (n === 5 && draft.get(key) !== undefined) draft.remove(key)
    else draft.put(key, value, 0n)
  }
  if (fails) throw new Error('on purpose')
  return draft.range(EVERY_KEY).length
}

/** What is there after each batch, and what each work was told. */
async function commit(batches: readonly (readonly Work[])[]): Promise<unknown> {
  const [state, history] = [new State(), new History()]
  const told: unknown[] = []
  for (const works of batches) {
    const batch = new Batch(standingOf(state, history), history.revision)
    for (const one of works) {
      const outcome = await batch.attempt((draft) => run(draft, one)).catch((error: Error) => error.message)
      assert.equal(typeof outcome === 'string', one.fails)
      told.push(outcome)
    }
    let revision = history.revision
    for (const group of batch.groups) {
      revision += 1
      assert.equal(group.revision, revision)
      assert(group.events.length > 0)
      for (const [sub, { kv }] of group.events.entries())
        assert.deepEqual([kv.modified, kv.sub], [revision, sub])
    }
    assert.equal(batch.revision, revision)
    for (const [key, claims] of batch.sum.changedClaims) state.replace(key, claims)
    for (const group of batch.groups) history.apply(group.events, group.revision)
  }
  const shown = history.range(EVERY_KEY).map((kv) => Buffer.from(kv.framed).toString('hex'))
  return {
    told,
    shown,
    revision: history.revision,
    hash: history.hash(),
    digest: state.index.digest(EVERYTHING),
  }
}

test('a batch is as if each of its changes had been committed alone, the failed ones never', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(work, { maxLength: 5 }), { maxLength: 3 }), async (batches) => {
      const together = await commit(batches)
      assert.deepEqual(await commit(batches.flat().map((one) => [one])), together)
      const { told: _, ...left } = (await commit(
        batches.map((works) => works.filter(({ fails }) => !fails)),
      )) as {
        told: unknown
      }
      const { told: __, ...all } = together as { told: unknown }
      assert.deepEqual(left, all)
    }),
    { numRuns: 200 },
  )
})

test('work that only looks, or changes nothing, is no reason to write', async () => {
  const batch = new Batch(standingOf(new State()), 7)
  assert.equal(await batch.attempt((draft) => draft.range(EVERY_KEY).length), 0)
  await assert.rejects(
    batch.attempt(() => Promise.reject(new Error('on purpose'))),
    /on purpose/,
  )
  assert.deepEqual([batch.effects, batch.revision, batch.groups.length], [0, 7, 0])
})

test('a lease that is granted or revoked is written, and seen by what comes behind it in the batch', () => {
  const batch = new Batch(standingOf(new State()), 7)
  assert.equal(batch.lease(1n), undefined)
  batch.setLease(1n, { id: 1n, ttlSeconds: 10 })
  assert.equal(batch.lease(1n)?.ttlSeconds, 10)
  batch.setLease(1n, null)
  assert.equal(batch.lease(1n), null)
  assert.deepEqual([batch.effects, batch.revision], [2, 7])
})

test('an own record counts even when what it says is there already', async () => {
  const batch = new Batch(standingOf(new State()), 7)
  const record = plainRecord({ key: '/shared/a', author: 'amy', expires: 50 })
  await batch.attempt((draft) => {
    draft.take(record, openPolicy.arrange)
    draft.write(record)
  })
  const renewed = plainRecord({ key: '/shared/a', author: 'amy', version: 2, expires: 60 })
  await batch.attempt((draft) => {
    draft.take(renewed, openPolicy.arrange)
    draft.write(renewed)
  })
  assert.deepEqual(batch.sum.own, [record, renewed])
  assert.deepEqual([batch.effects, batch.revision, batch.groups.length], [2, 8, 1])
})
