import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { openDatabase } from '../../src/base/database.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { Operations } from '../../src/etcd/operations.ts'
import { kindOf } from '../../src/federation/keyspace.ts'
import type { Batch } from '../../src/registry/batch.ts'
import { History } from '../../src/registry/history.ts'
import { KeyValueStore } from '../../src/registry/key-value-store.ts'
import { Leases } from '../../src/registry/leases.ts'
import { RecordStore } from '../../src/registry/record-store.ts'
import { State } from '../../src/registry/state.ts'
import { type Work, Writer } from '../../src/registry/writer.ts'
import { putRequest } from '../support/etcd-requests.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const KIB = 1024

/** A store whose local keys may take little; shared keys have no part in the story. */
async function open(t: TestContext, localBytesMax: number) {
  const database = await openDatabase(await temporaryDirectory(t))
  t.after(() => database.close())
  const [state, history, store] = [new State(), new History(), new RecordStore(database)]
  const after = (batch: Batch) => keyValues.tell(batch)
  const writer = new Writer({ state, history, store, before: () => undefined, after })
  t.after(() => writer.idle())
  const run = <T>(work: Work<T>) => writer.run(work)
  const pen = { write: () => assert.fail('nothing shared is written') }
  const policy = { kindOf, arrange: () => [] }
  const parts = { history, writer, store, run, pen, policy }
  const leases = new Leases({ self: 'alice', ...parts, clock: systemClock, log: silentLogger })
  const keyValues: KeyValueStore = new KeyValueStore({ ...parts, leases, localBytesMax })
  const put = (key: string, bytes: number) => keyValues.transact((tx) => tx.put(key, Buffer.alloc(bytes), 0n))
  const remove = (key: string) => keyValues.transact((tx) => tx.delete({ from: key, to: undefined }))
  return { keyValues, put, remove, history }
}

test('local keys take so much and no more; what is deleted or made smaller makes room', async (t) => {
  const { keyValues, put, remove } = await open(t, 10 * KIB)
  const full = { code: 'TOO_LARGE', message: /local keys .* may take 10240; delete some/ }
  await put('/local/a', 4 * KIB)
  await put('/local/b', 4 * KIB)
  await assert.rejects(put('/local/c', 4 * KIB), full)
  assert.equal(keyValues.get('/local/c'), undefined)
  // In place of what was there, as large as it was, however often.
  for (let round = 0; round < 5; round++) await put('/local/a', 4 * KIB)
  await assert.rejects(put('/local/a', 6 * KIB), full)
  await remove('/local/b')
  await put('/local/c', 4 * KIB)
  await put('/local/a', KIB)
  await put('/local/d', KIB)
  // The smallest have their weight too.
  const small = Array.from({ length: 20 }, (_, i) => put(`/local/small/${i}`, 0))
  await assert.rejects(
    Promise.all(small).then(() => put('/local/small', 0)),
    full,
  )
})

test('etcd clients are told so in the words of etcd', async (t) => {
  const { keyValues } = await open(t, 10 * KIB)
  const operations = new Operations({ registry: { get: () => undefined }, members: { get: () => undefined } })
  const put = keyValues.transact((tx) => operations.put(tx, putRequest('/local/a', 'x'.repeat(11 * KIB))))
  await assert.rejects(put, { code: 8, message: 'etcdserver: mvcc: database space exceeded' })
})

test('a key that the federation has not is shown as it was written, with what could stand there', async (t) => {
  const { put } = await open(t, 10 * KIB)
  const asWritten = Buffer.from('/shared/é', 'utf8').toString('latin1')
  const refused = { code: 'INVALID_INPUT', message: /no key "\/shared\/é".*letters, digits and \. _ ~ -/ }
  await assert.rejects(put(asWritten, 1), refused)
  await assert.rejects(put('/shared/\xff', 1), { message: /no key "\/shared\/ÿ"/ })
  await assert.rejects(put('/tools/a/b', 1), { message: /no key "\/tools\/a\/b".*such as \/local\// })
})
