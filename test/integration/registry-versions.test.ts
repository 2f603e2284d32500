import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from '@ipld/dag-cbor'
import { bytesTable, DURABLE, openDatabase, STORE_FORMAT } from '../../src/base/database.ts'
import { isNodeError } from '../../src/base/errors.ts'
import { loadIdentity } from '../../src/identity/node-key.ts'
import { EVERY_KEY, rangeBelow } from '../../src/registry/key-range.ts'
import type { KeyValue } from '../../src/registry/key-value.ts'
import { placeOf } from '../../src/registry/record.ts'
import { eventually } from '../support/eventually.ts'
import { sealRecord } from '../support/records.ts'
import { type RegistryNode, startFederation, startRegistryNode } from '../support/registry-node.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const told = (kv: KeyValue | undefined) =>
  kv && [kv.key, Buffer.from(kv.value).toString(), kv.created, kv.modified, kv.version]

async function put(node: RegistryNode, key: string, value: string, lease = 0n): Promise<number> {
  const { revision } = await node.registry.keyValues.transact((tx) => tx.put(key, bytes(value), lease))
  return revision
}

test('local and shared keys count one line of revisions, and a restart gives all of it back', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  const store = alice.registry.keyValues
  const first = await put(alice, '/local/a', 'one')
  assert.equal(await put(alice, '/tools/x', 'two'), first + 1)
  assert.equal(await put(alice, '/local/a', 'three'), first + 2)
  const { result: deleted, revision } = await store.transact((tx) => tx.delete(rangeBelow('/local/')))
  assert.equal(deleted.length, 1)
  assert.equal(revision, first + 3)
  await put(alice, '/local/a', 'again')
  assert.deepEqual(told(store.get('/local/a')), ['/local/a', 'again', first + 4, first + 4, 1])
  assert.deepEqual(told(store.get('/local/a', first + 2)), ['/local/a', 'three', first, first + 2, 2])
  assert.equal(store.get('/local/a', first + 3), undefined)
  assert.equal(alice.registry.get('/local/a'), undefined, 'what is local is no record')
  const before = {
    hash: store.hash(),
    events: store.events(first, 100).map(({ type, kv, previous }) => [type, told(kv), told(previous)]),
  }
  await alice.stop()

  const again = await startRegistryNode(t, { genesis: alice.genesis, directory: alice.directory })
  const after = again.registry.keyValues
  assert.deepEqual(after.hash(), before.hash)
  assert.deepEqual(
    after.events(first, 100).map(({ type, kv, previous }) => [type, told(kv), told(previous)]),
    before.events,
  )
  assert.deepEqual(told(after.get('/local/a', first + 2)), ['/local/a', 'three', first, first + 2, 2])
})

test('a plan that fails leaves nothing, and one that succeeds is one revision', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  const store = alice.registry.keyValues
  const { revision } = store
  const told: number[] = []
  store.onEvents((events, at) => told.push(at, events.length))
  const failing = store.transact(async (tx) => {
    await tx.put('/local/a', bytes('1'), 0n)
    await tx.put('/tools/a', bytes('1'), 0n)
    throw new Error('no')
  })
  await assert.rejects(failing, /no/)
  assert.equal(store.revision, revision)
  assert.equal(alice.registry.get('/tools/a'), undefined)
  await store.transact(async (tx) => {
    await tx.put('/local/a', bytes('1'), 0n)
    assert.equal(tx.get('/local/a')?.modified, tx.revision, 'it sees what it wrote')
    await tx.put('/tools/a', bytes('1'), 0n)
    assert.equal(tx.range(rangeBelow('/local/')).length, 1)
  })
  assert.deepEqual(told, [revision + 1, 2])
})

test('reserved keys, and claims of others, are refused in words', async (t) => {
  const [alice, bob] = await startFederation(t, ['bob'])
  assert(alice && bob)
  const refusal = async (node: RegistryNode, key: string) => {
    const error = await put(node, key, 'x').catch((thrown: unknown) => thrown)
    return isNodeError(error) ? error.code : error
  }
  assert.equal(await refusal(alice, '/tools/a/b'), 'INVALID_INPUT')
  assert.equal(await refusal(bob, `/members/${bob.identity.peerId}`), 'FORBIDDEN')
  await put(alice, '/tools/mine', 'x')
  await eventually(() => bob.registry.get('/tools/mine') !== undefined, 'bob never heard of the tool')
  assert.equal(await refusal(bob, '/tools/mine'), 'CONFLICT')
})

test('compaction forgets what was replaced, on the disk too', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  const store = alice.registry.keyValues
  const first = await put(alice, '/local/a', '1')
  await put(alice, '/local/b', '1')
  await put(alice, '/local/a', '2')
  await store.transact((tx) => tx.delete({ from: '/local/b', to: undefined }))
  const last = await put(alice, '/local/c', '1')
  await store.compact(last - 1)
  const code = (read: () => unknown) => {
    try {
      return read()
    } catch (error) {
      return isNodeError(error) ? error.code : error
    }
  }
  assert.equal(
    code(() => store.get('/local/a', first)),
    'REVISION_COMPACTED',
  )
  assert.equal(
    code(() => store.events(first, 1)),
    'REVISION_COMPACTED',
  )
  assert.equal(
    code(() => store.range(EVERY_KEY, last + 1)),
    'REVISION_FUTURE',
  )
  assert.equal(store.count(rangeBelow('/local/'), last - 1), 1)
  await assert.rejects(store.compact(last - 1), { code: 'REVISION_COMPACTED' })
  await assert.rejects(store.compact(last + 1), { code: 'REVISION_FUTURE' })
  const hash = store.hash()
  await alice.stop()
  const again = await startRegistryNode(t, { genesis: alice.genesis, directory: alice.directory })
  assert.deepEqual(again.registry.keyValues.hash(), hash)
  assert.deepEqual(
    again.registry.keyValues.range(rangeBelow('/local/')).map((kv) => kv.key),
    ['/local/a', '/local/c'],
  )
})

test('what hangs on a lease goes with it: here at once, and with every member', async (t) => {
  const [alice, bob] = await startFederation(t, ['bob'])
  assert(alice && bob)
  const { leases } = alice.registry.keyValues
  const { id, ttlSeconds } = await leases.grant(0n, 1)
  assert.equal(ttlSeconds, 2, 'no lease is shorter than two seconds')
  await put(alice, '/local/here', 'x', id)
  await put(alice, '/shared/there', 'x', id)
  assert.deepEqual([...(leases.timeToLive(id)?.keys ?? [])].sort(), ['/local/here', '/shared/there'])
  await eventually(() => bob.registry.get('/shared/there') !== undefined, 'bob never heard of it')
  const { revision } = bob.registry
  assert.equal(await leases.keepAlive(id), 2)
  const ends = alice.registry.get('/shared/there')?.expiresMs
  await eventually(() => bob.registry.get('/shared/there')?.expiresMs === ends, 'the renewal never came')
  assert.equal(bob.registry.revision, revision, 'what only lives on is no change')
  const there = () => ['/local/here', '/shared/there'].some((key) => alice.registry.keyValues.get(key))
  await eventually(() => !there(), 'the lease never ran out', 8_000)
  assert.equal(leases.timeToLive(id), undefined)
  await eventually(() => bob.registry.get('/shared/there') === undefined, 'it never ran out at bob', 8_000)
})

test('the node that granted a lease may die: what hangs on it ends with every member all the same', async (t) => {
  const [alice, bob] = await startFederation(t, ['bob'])
  assert(alice && bob)
  const { id } = await alice.registry.keyValues.leases.grant(0n, 2)
  await put(alice, '/shared/there', 'x', id)
  await eventually(() => bob.registry.get('/shared/there') !== undefined, 'bob never heard of it')
  await alice.stop()
  await eventually(() => bob.registry.get('/shared/there') === undefined, 'it never ran out at bob', 8_000)
})

test('a lease that is revoked takes its keys along at one revision, and survives a restart until then', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  const granted = await alice.registry.keyValues.leases.grant(77n, 600)
  assert.equal(granted.id, 77n)
  await assert.rejects(alice.registry.keyValues.leases.grant(77n, 5), { code: 'LEASE_EXISTS' })
  await put(alice, '/local/a', 'x', 77n)
  await put(alice, '/tools/b', 'x', 77n)
  await assert.rejects(put(alice, '/local/a', 'x', 78n), { code: 'LEASE_NOT_FOUND' })
  await alice.stop()
  const again = await startRegistryNode(t, { genesis: alice.genesis, directory: alice.directory })
  const { keyValues } = again.registry
  assert.deepEqual(keyValues.leases.list(), [77n])
  assert.deepEqual([...(keyValues.leases.timeToLive(77n)?.keys ?? [])].sort(), ['/local/a', '/tools/b'])
  const { revision } = keyValues
  assert.equal(await keyValues.leases.revoke(77n), revision + 1)
  assert.equal(keyValues.count(EVERY_KEY), 0)
  assert.equal(again.registry.get('/tools/b'), undefined)
  await assert.rejects(keyValues.leases.revoke(77n), { code: 'LEASE_NOT_FOUND' })
})

test('a store of the first format is taken over; one of a later format is refused', async (t) => {
  const directory = await temporaryDirectory(t)
  const identity = await loadIdentity(directory)
  const first = await startRegistryNode(t, { directory })
  await first.stop()
  const { federation } = first.genesis
  const record = await sealRecord(identity, { federation, key: '/tools/old', value: bytes('kept') })
  const database = await openDatabase(directory)
  const records = bytesTable(database, 'registry')
  await bytesTable(database, 'versions').clear()
  await bytesTable(database, 'progress').clear()
  await records.put(placeOf(record), encode({ revision: 41, envelope: record.envelope }), DURABLE)
  await records.put('revision', encode(41), DURABLE)
  await database.put('format', '1', DURABLE)
  await database.close()

  const again = await startRegistryNode(t, { genesis: first.genesis, directory })
  assert.deepEqual(again.registry.get('/tools/old')?.value, bytes('kept'))
  assert(again.registry.revision >= 42, `${again.registry.revision} after 41`)
  assert.equal(told(again.registry.keyValues.get('/tools/old'))?.[1], 'kept')
  await again.stop()

  const later = await openDatabase(directory)
  assert.equal(await later.get('format'), STORE_FORMAT)
  await later.put('format', '99', DURABLE)
  await later.close()
  await assert.rejects(openDatabase(directory), { code: 'STORE_INCOMPATIBLE', message: /format 99/ })
})
