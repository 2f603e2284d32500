import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  peersNotedMax,
  peersUnwrittenMax,
  tableEntriesMax,
  tableEntriesPerPeerMax,
} from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { BoundedDatastore } from '../../src/network/bounded-datastore.ts'
import { TableEntries } from '../../src/network/table-entries.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

type Key = Parameters<BoundedDatastore['put']>[0]
/** All that a store asks of a key. */
const peer = (n: number) => ({ toString: () => `/peers/p${n}` }) as Key
const bytes = (text: string) => new TextEncoder().encode(text)
const read = async (store: BoundedDatastore, key: Key) => new TextDecoder().decode(await store.get(key))

test('what is noted of a peer is read at once, in lists too, and after a restart', async (t) => {
  const directory = await temporaryDirectory(t)
  const before = await opened(t, directory)
  await before.put(peer(1), bytes('one'))
  await before.put(peer(1), bytes('one again'))
  await before.put(peer(2), bytes('two'))
  assert.equal(await read(before, peer(1)), 'one again')
  assert.equal(await before.has(peer(2)), true)
  assert.deepEqual(await names(before), ['/peers/p1', '/peers/p2'])

  await before.put(peer(3), bytes('three'))
  await before.delete(peer(1))
  await before.close()
  const after = await opened(t, directory)
  assert.deepEqual(await names(after), ['/peers/p2', '/peers/p3'])
  assert.equal(await read(after, peer(3)), 'three')
  await assert.rejects(after.get(peer(1)))
})

test('a peer that is forgotten while it is being written does not come back', async (t) => {
  const directory = await temporaryDirectory(t)
  const store = await opened(t, directory)
  await store.put(peer(1), bytes('one'))
  const listing = names(store)
  await Promise.all([listing, store.delete(peer(1))])
  assert.equal(await store.has(peer(1)), false)
  assert.deepEqual(await names(store), [])
})

test('more peers than are kept in memory are read from the disk', async (t) => {
  const store = await opened(t, await temporaryDirectory(t))
  const count = peersUnwrittenMax + 100
  for (let n = 0; n < count; n += 1) await store.put(peer(n), bytes(`${n}`))
  for (const n of [0, 99, count - 1]) assert.equal(await read(store, peer(n)), `${n}`)
  assert.equal((await names(store)).length, count)
})

test('what strangers have kept is bounded in size, in number, and for each of them', async (t) => {
  const directory = await temporaryDirectory(t)
  const store = await opened(t, directory)
  const entry = (cid: string, owner: string) => ({ toString: () => `/dht/provider/${cid}/${owner}` }) as Key
  await store.put(entry('of-honest', 'honest'), bytes('1'))
  for (let n = 0; n < 2 * tableEntriesPerPeerMax; n += 1)
    await store.put(entry(`c${n}`, 'greedy'), bytes('1'))
  const kept = async () => (await names(store, '/dht/')).length
  assert.equal(await kept(), tableEntriesPerPeerMax + 1)
  assert.equal(await store.has(entry(`c${2 * tableEntriesPerPeerMax - 1}`, 'greedy')), true)
  assert.equal(await store.has(entry('of-honest', 'honest')), true)

  await store.put(entry('x'.repeat(200_000), 'another'), bytes('1'))
  await store.put(entry('large', 'another'), new Uint8Array(2_000))
  assert.equal(await kept(), tableEntriesPerPeerMax + 1)

  await store.put(peer(1), bytes('one'))
  await store.put(peer(1), new Uint8Array(100_000))
  assert.equal(await read(store, peer(1)), 'one')
  await store.close()
  const again = await opened(t, directory)
  await again.put(entry('more', 'greedy'), bytes('1'))
  assert.equal((await names(again, '/dht/')).length, tableEntriesPerPeerMax + 1)
})

test('a full table gives up what the greediest have, and the honest keep theirs', () => {
  const table = new TableEntries()
  table.add('/dht/provider/c/honest')
  const each = tableEntriesPerPeerMax
  for (let n = 0; n < tableEntriesMax - 1; n += 1)
    table.add(`/dht/provider/c${n % each}/sybil${Math.floor(n / each)}`)
  const gone = table.add('/dht/provider/c/newcomer')
  assert.equal(gone.length, 1)
  assert.match(gone.join(), /sybil/)
})

test('of peers beyond the bound the one longest not heard of is forgotten', async (t) => {
  const store = await opened(t, await temporaryDirectory(t))
  for (let n = 0; n < peersNotedMax + 10; n += 1) await store.put(peer(n), bytes('x'))
  assert.equal((await names(store)).length, peersNotedMax)
  assert.equal(await store.has(peer(0)), false)
  assert.equal(await store.has(peer(peersNotedMax)), true)
})

async function opened(t: TestContext, directory: string): Promise<BoundedDatastore> {
  const store = new BoundedDatastore(directory, silentLogger)
  await store.open()
  t.after(() => store.close())
  return store
}

async function names(store: BoundedDatastore, prefix = '/peers/'): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of store.query({ prefix })) found.push(key.toString())
  return found.sort()
}
