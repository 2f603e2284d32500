import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { peersUnwrittenMax } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { BoundedDatastore } from '../../src/network/bounded-datastore.ts'
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

async function opened(t: TestContext, directory: string): Promise<BoundedDatastore> {
  const store = new BoundedDatastore(directory, silentLogger)
  await store.open()
  t.after(() => store.close())
  return store
}

async function names(store: BoundedDatastore): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of store.query({ prefix: '/peers/' })) found.push(key.toString())
  return found.sort()
}
