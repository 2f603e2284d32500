import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openDatabase } from '../../../src/base/database.ts'
import { silentLogger } from '../../../src/base/logger.ts'
import { datasetId, datasetSchema } from '../../../src/datasets/dataset-record.ts'
import { KnownDatasets } from '../../../src/datasets/known-datasets.ts'
import { Collection, encodeJson } from '../../../src/registry/collection.ts'
import type { Entry } from '../../../src/registry/watchers.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const ID = 'a'.repeat(32)

/** A registry that shows the first of the claims that it is given. */
async function knowing(t: TestContext) {
  const database = await openDatabase(await temporaryDirectory(t))
  t.after(() => database.close())
  let claims: Entry[] = []
  const registry = {
    get: (key: string) => (key === '/dataset/data' ? claims[0] : undefined),
    claims: () => claims,
    knows: () => claims.length > 0,
    list: () => claims.slice(0, 1),
    put: async () => claims[0] as Entry,
    delete: async () => undefined,
    watch: () => () => undefined,
  }
  const records = new Collection({ registry, prefix: '/dataset/', schema: datasetSchema, log: silentLogger })
  const known = new KnownDatasets({ self: 'me', database, registry, records })
  await known.load()
  const claim = (author: string, policy: string, sinceMs: number, more: object = {}): Entry => {
    const value = encodeJson({ id: ID, description: '', createdBy: author, policy, ...more })
    const entry = { key: '/dataset/data', value, author, sinceMs, timeMs: sinceMs }
    return { ...entry, version: 1, revision: sinceMs, contested: false }
  }
  const hear = (...heard: Entry[]) => {
    claims = heard
  }
  return { known, claim, hear }
}

test('who founded a dataset is who claimed it first, in whatever order the claims are heard', async (t) => {
  const { known, claim, hear } = await knowing(t)
  // An operator's later claim is shown, and is all that is known at first.
  const [bob, operator] = [claim('bob', 'compute-only', 10), claim('op', 'shared', 20)]
  hear(operator)
  assert.deepEqual([known.need('data').owner, known.need('data').policy], ['op', 'shared'])
  const { id, policy, promisedBy } = known.need('data')
  await known.setCopy('data', { id, policy, owner: promisedBy })
  hear(operator, bob)
  assert.deepEqual([known.need('data').owner, known.need('data').policy], ['bob', 'compute-only'])
  hear(operator, claim('bob', 'shared', 10))
  assert.equal(known.need('data').policy, 'shared')
})

test('nobody becomes the founder of a dataset by claiming its name and its id earlier', async (t) => {
  const { known, claim, hear } = await knowing(t)
  const seed = 'b'.repeat(32)
  const id = datasetId('bob', seed)
  const bob = claim('bob', 'compute-only', 20, { id, seed })
  hear(claim('eve', 'shared', 10, { id, seed }), bob)
  assert.deepEqual([known.need('data').owner, known.need('data').policy], ['bob', 'compute-only'])
})

test('an operator shuts a dataset and opens it again, and its founder stays its founder', async (t) => {
  const { known, claim, hear } = await knowing(t)
  const bob = claim('bob', 'shared', 10)
  hear(claim('op', 'compute-only', 20), bob)
  assert.deepEqual([known.need('data').owner, known.need('data').policy], ['bob', 'compute-only'])
  const { id, policy, promisedBy } = known.need('data')
  await known.setCopy('data', { id, policy, owner: promisedBy })
  hear(claim('op', 'shared', 21), bob)
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
