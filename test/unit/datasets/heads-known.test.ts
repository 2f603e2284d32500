import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openDatabase } from '../../../src/base/database.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { datasetId, datasetSchema } from '../../../src/datasets/dataset-record.ts'
import { KnownDatasets } from '../../../src/datasets/known-datasets.ts'
import { Collection, encodeJson } from '../../../src/registry/collection.ts'
import type { Entry } from '../../../src/registry/watchers.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const SEED = 'b'.repeat(32)
const HOUR_MS = 3_600_000

/** A registry that shows the first of the claims that it is given, at a node to which `op` is an operator. */
async function knowing(t: TestContext) {
  const database = await openDatabase(await temporaryDirectory(t))
  t.after(() => database.close())
  let [claims, nowMs]: [Entry[], number] = [[], HOUR_MS]
  const registry = {
    get: () => claims[0],
    claims: (key: string) => (key === '/dataset/data' ? claims : []),
    knows: () => claims.length > 0,
    list: () => claims.slice(0, 1),
    put: async () => claims[0] as Entry,
    delete: async () => undefined,
    watch: () => () => undefined,
  }
  const records = new Collection({ registry, prefix: '/dataset/', schema: datasetSchema, log: silentLogger })
  const [clock, isOperator] = [{ now: () => nowMs }, (peer: string) => peer === 'op']
  const known = new KnownDatasets({ self: 'me', database, registry, records, clock, isOperator })
  await known.load()
  /** The claim of `author` to what `founder` founded, by default the author itself. */
  const claim = (
    author: string,
    policy: string,
    sinceMs: number,
    more: object = {},
    founder = author,
  ): Entry => {
    const id = datasetId(founder, 'data', SEED)
    const proof = { id, seed: SEED, ...(founder === author ? {} : { founder }) }
    const value = encodeJson({ ...proof, description: '', createdBy: author, policy, ...more })
    const entry = { key: '/dataset/data', value, author, sinceMs, timeMs: sinceMs }
    return { ...entry, version: 1, revision: sinceMs, contested: false }
  }
  const hear = (...heard: Entry[]) => {
    claims = heard
  }
  /** What settling does: the node remembers what it knows. */
  const keep = async () => {
    const { id, policy, promisedBy } = known.need('data')
    await known.setCopy('data', { id, policy, owner: promisedBy })
  }
  const later = (ms: number) => {
    nowMs += ms
  }
  return { known, claim, hear, keep, later }
}

const idOfBob = datasetId('bob', 'data', SEED)
const idOfEve = datasetId('eve', 'data', SEED)

test('who founded a dataset is who the id proves, in whatever order the claims are heard', async (t) => {
  const { known, claim, hear, keep } = await knowing(t)
  // An operator's later claim is shown, and is all that is known at first.
  const [bob, operator] = [claim('bob', 'compute-only', 10), claim('op', 'shared', 20, {}, 'bob')]
  hear(operator)
  assert.deepEqual([known.need('data').owner, known.need('data').policy], ['bob', 'shared'])
  await keep()
  hear(operator, bob)
  assert.deepEqual([known.need('data').owner, known.need('data').policy], ['bob', 'compute-only'])
  hear(operator, claim('bob', 'shared', 10))
  assert.equal(known.need('data').policy, 'shared')
})

test('a claim to what another member founded changes nothing of it, and is shown', async (t) => {
  const { known, claim, hear } = await knowing(t)
  const initial = '1'.repeat(40)
  for (const policy of ['shared', 'compute-only']) {
    const bob = claim('bob', 'shared', 20, { initial, foundedMs: 20 })
    hear(claim('eve', policy, 1, { initial: '2'.repeat(40), foundedMs: 1 }, 'bob'), bob)
    const now = known.need('data')
    assert.deepEqual([now.id, now.owner, now.author, now.policy], [idOfBob, 'bob', 'bob', 'shared'])
    assert.deepEqual([now.record.initial, now.foundedMs], [initial, 20])
    assert.deepEqual(known.contested('data'), [{ author: 'eve', id: idOfBob, reason: 'not-theirs' }])
    assert.deepEqual(known.initials('data'), [initial])
  }
})

test('an id that does not follow from name, founder and seed is no dataset, and hides none', async (t) => {
  const { known, claim, hear } = await knowing(t)
  const other = datasetId('eve', 'other', SEED)
  for (const forged of [{ id: idOfBob }, { id: other }, { id: idOfEve, seed: undefined }]) {
    hear(claim('eve', 'shared', 1, forged))
    assert.equal(known.get('data'), undefined)
    assert.throws(() => known.need('data'), { code: 'DATASET_NOT_FOUND', message: /eve claims/ })
    hear(claim('eve', 'shared', 1, forged), claim('bob', 'shared', 20))
    assert.equal(known.need('data').id, idOfBob)
    assert.deepEqual(
      known.list().map(({ id }) => id),
      [idOfBob],
    )
    assert.equal(known.contested('data')[0]?.reason, 'not-proven')
  }
})

test('once a dataset is settled, no earlier claim of another member takes its name', async (t) => {
  for (const settle of ['time', 'agreement', 'nothing']) {
    const { known, claim, hear, keep, later } = await knowing(t)
    const [bob, eve] = [claim('bob', 'shared', 20), claim('eve', 'compute-only', 1, { former: [idOfBob] })]
    hear(bob)
    await keep()
    if (settle === 'agreement') await known.agreed('data')
    later(settle === 'time' ? HOUR_MS : HOUR_MS - 1)
    hear(eve, bob)
    const now = known.need('data')
    if (settle === 'nothing') {
      // Two foundings at one moment: what the registry shows is the dataset, and what was copied is part of it.
      assert.equal(now.id, idOfEve)
      assert.equal(known.belongs('data', { id: idOfBob }), true)
      continue
    }
    assert.deepEqual([now.id, now.owner, now.policy], [idOfBob, 'bob', 'shared'])
    assert.deepEqual(known.contested('data'), [{ author: 'eve', id: idOfEve, reason: 'another' }])
    // An operator says which of the two it is; and who founded it may end it.
    hear(claim('op', 'shared', 30, {}, 'eve'), eve, bob)
    assert.equal(known.need('data').id, idOfEve)
    hear(eve)
    assert.equal(known.need('data').id, idOfEve)
    assert.equal(known.belongs('data', { id: idOfBob }), false)
    hear(eve, { ...bob, buried: true })
    assert.equal(known.need('data').id, idOfEve)
  }
})

test('what a member shut by taking the name early is open again once an operator says whose it is', async (t) => {
  const { known, claim, hear, keep } = await knowing(t)
  const [bob, eve] = [claim('bob', 'shared', 20), claim('eve', 'compute-only', 1)]
  hear(bob)
  await keep()
  hear(eve, bob)
  await keep()
  assert.deepEqual([known.need('data').id, known.need('data').policy], [idOfEve, 'compute-only'])
  hear(claim('op', 'shared', 30, {}, 'bob'), eve, bob)
  assert.deepEqual([known.need('data').id, known.need('data').policy], [idOfBob, 'shared'])
  // What was made here meanwhile of what eve did not share is not part of it.
  assert.equal(known.belongs('data', { id: idOfEve }), false)
})

test('what a node founded as compute-only stays its own from the first moment on', async (t) => {
  const { known, claim, hear, keep } = await knowing(t)
  const mine = claim('me', 'compute-only', 20)
  hear(mine)
  await keep()
  hear(claim('eve', 'shared', 1, { former: [datasetId('me', 'data', SEED)] }), mine)
  assert.deepEqual([known.need('data').owner, known.need('data').policy], ['me', 'compute-only'])
  // Also where an operator says that it is another member's: what is here is given to nobody.
  hear(claim('op', 'shared', 30, { former: [datasetId('me', 'data', SEED)] }, 'eve'), mine)
  assert.deepEqual([known.need('data').id, known.need('data').policy], [idOfEve, 'compute-only'])
})

test('an operator shuts a dataset and opens it again, and its founder stays its founder', async (t) => {
  const { known, claim, hear, keep } = await knowing(t)
  const bob = claim('bob', 'shared', 10)
  hear(claim('op', 'compute-only', 20, {}, 'bob'), bob)
  assert.deepEqual([known.need('data').owner, known.need('data').policy], ['bob', 'compute-only'])
  await keep()
  hear(claim('op', 'shared', 21, {}, 'bob'), bob)
  assert.deepEqual([known.need('data').owner, known.need('data').policy], ['bob', 'shared'])
})

test('nobody is believed to have founded a dataset after its record was written', async (t) => {
  const { known, claim, hear } = await knowing(t)
  hear(claim('bob', 'shared', 10, { foundedMs: 9_999 }))
  assert.equal(known.need('data').foundedMs, 10)
  hear(claim('bob', 'shared', 10, { foundedMs: 7 }))
  assert.equal(known.need('data').foundedMs, 7)
  assert.throws(() => known.need('nothing'), { code: 'DATASET_NOT_FOUND' })
})
