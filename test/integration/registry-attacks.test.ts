/** What a member gone bad, a hasty client or a restart could do to a registry, as stories. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from '@ipld/dag-cbor'
import { isNodeError } from '../../src/base/errors.ts'
import { DAY_MS, versionCountedMax } from '../../src/base/limits.ts'
import { reopen, seal } from '../../src/identity/envelope.ts'
import { History } from '../../src/registry/history.ts'
import { KeyValue } from '../../src/registry/key-value.ts'
import { decodeRecord } from '../../src/registry/record.ts'
import { eventually } from '../support/eventually.ts'
import { newIdentity, sealRecord } from '../support/records.ts'
import { type RegistryNode, startFederation, startRegistryNode } from '../support/registry-node.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const json = (value: unknown) => bytes(JSON.stringify(value))
const shown = (node: RegistryNode, key: string) => {
  const value = node.registry.get(key)?.value
  return value === undefined ? undefined : Buffer.from(value).toString()
}

test('a claim dated to the end of time locks no name, for members or operators', async (t) => {
  const [alice, mallory] = await startFederation(t, ['mallory'])
  assert(alice && mallory)
  const fields = { federation: alice.genesis.federation, key: '/tools/locked' }
  const end = await sealRecord(mallory.identity, { ...fields, since: Number.MAX_SAFE_INTEGER })
  const verdict = await alice.registry.receive(end.envelope)
  assert.equal(verdict.action === 'reject' && verdict.code, 'INVALID_VALUE')
  // As late as may be: what others write all the same is read by everybody.
  const late = await sealRecord(mallory.identity, { ...fields, since: Date.now() + 10 * 60_000 })
  assert.equal((await alice.registry.receive(late.envelope)).action, 'accept')
  await alice.registry.put('/tools/locked', bytes('of alice'), { shown: true })
  assert.equal(shown(alice, '/tools/locked'), 'of alice')
})

test('a version at the end of what counts leaves a name within reach of the operators', async (t) => {
  const [alice, mallory] = await startFederation(t, ['mallory'])
  assert(alice && mallory)
  const fields = { federation: alice.genesis.federation, key: '/tools/x', version: versionCountedMax }
  const record = await sealRecord(mallory.identity, { ...fields, value: bytes('of mallory') })
  await alice.registry.receive(record.envelope)
  await alice.registry.put('/tools/x', bytes('of alice'))
  assert.equal(shown(alice, '/tools/x'), 'of alice')
  await alice.registry.delete('/tools/x')
  assert.equal(shown(alice, '/tools/x'), undefined)
  await alice.registry.put('/tools/x', bytes('again'))
  assert.equal(shown(alice, '/tools/x'), 'again')
})

test('a payload in another form of DAG-CBOR is no record', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  const amy = await newIdentity()
  const plain = await sealRecord(amy, { key: '/tools/a', federation: alice.genesis.federation })
  const { hash: _, envelope: __, ...record } = plain
  // The version as a number with a fraction of nought, which DAG-CBOR writes as an integer.
  const canonical = Buffer.from(encode(record))
  const at = canonical.indexOf('gversion') + 'gversion'.length
  assert.equal(canonical[at], 1)
  const float = Buffer.from('fb3ff0000000000000', 'hex')
  const odd = Buffer.concat([canonical.subarray(0, at), float, canonical.subarray(at + 1)])
  assert.equal(decodeRecord(odd).version, 1, 'it can be read')
  const verdict = await alice.registry.receive(seal('record', odd, amy))
  assert.equal(verdict.action === 'reject' && verdict.code, 'MALFORMED')
})

test('an operator that counts its versions to the end is removed all the same, and keeps nobody out', async (t) => {
  const [alice, mallory, dave] = await startFederation(t, ['mallory', 'dave'])
  assert(alice && mallory && dave)
  const peer = mallory.identity.peerId
  await alice.members.setRole(peer, 'operator')
  await eventually(() => dave.members.role(peer) === 'operator', 'dave does not know the operator')
  const { federation } = alice.genesis
  const say = async (about: string, value: object) => {
    // As far ahead in version and time as a record may be.
    const [version, time] = [2 ** 40, Date.now() + 9 * 60_000]
    const fields = { federation, key: `/members/${about}`, value: json(value), version, time }
    const { envelope } = await sealRecord(mallory.identity, fields)
    for (const { registry } of [mallory, alice, dave]) await registry.receive(envelope)
  }
  const place = { name: 'mallory', role: 'operator' }
  await say(peer, place)
  await alice.members.remove(peer, 'out')
  await eventually(() => dave.members.role(peer) === undefined, 'dave still knows mallory')
  await say(peer, place)
  assert.deepEqual([alice.members.role(peer), dave.members.role(peer)], [undefined, undefined])
  // What one operator says of a third another takes back.
  const third = dave.identity.peerId
  await alice.members.admit(peer, 'mallory', 'operator')
  await say(third, { name: 'dave', role: 'observer' })
  assert.equal(alice.members.role(third), 'observer')
  await alice.members.setRole(third, 'member')
  await eventually(() => dave.members.role(third) === 'member', 'dave is an observer still')
})

test('after a restart the members are who they were, whichever operator said so', async (t) => {
  const [alice, bob, carol] = await startFederation(t, ['bob', 'carol'])
  assert(alice && bob && carol)
  const { federation } = alice.genesis
  const say = async (by: RegistryNode, key: string, version: number, value: Uint8Array | null) => {
    const time = Date.now() + version
    const record = await sealRecord(by.identity, { federation, key, version, value, time })
    return alice.registry.receive(record.envelope)
  }
  const role = (name: string, now: string) => json({ name, role: now })
  await alice.registry.put(`/members/${bob.identity.peerId}`, role('bob', 'operator'))
  // Two operators each said something of two peers; what was said last holds, whoever has the lower id.
  const peers = await Promise.all([newIdentity(), newIdentity()])
  for (const [index, { peerId }] of peers.entries()) {
    const [first, last] = index === 0 ? [alice, bob] : [bob, alice]
    await say(first, `/members/${peerId}`, 1, role(`peer-${index}`, 'member'))
    await say(last, `/members/${peerId}`, 2, role(`peer-${index}`, 'operator'))
  }
  // A contested name is arranged by the roles of those who claim it.
  await say(carol, '/dataset/x', 1, bytes('of carol'))
  await say(bob, '/dataset/x', 1, bytes('of bob'))
  const roles = (node: RegistryNode) => peers.map(({ peerId }) => node.members.role(peerId))
  assert.deepEqual(roles(alice), ['operator', 'operator'])
  await alice.stop()
  const again = await startRegistryNode(t, { genesis: alice.genesis, directory: alice.directory })
  assert.deepEqual(roles(again), ['operator', 'operator'])
  assert.equal(shown(again, '/dataset/x'), 'of bob')
})

test('what ran out and is written again at once is newer to everybody, also to slower clocks', async (t) => {
  const [alice, bob] = await startFederation(t, ['bob'])
  assert(alice && bob)
  const sent: Uint8Array[] = []
  alice.registry.onLocal((envelope) => sent.push(envelope))
  await alice.registry.put('/shared/leader', bytes('one'), { expiresMs: Date.now() + 400 })
  await eventually(() => !alice.registry.knows('/shared/leader'), 'it never ran out')
  await alice.registry.put('/shared/leader', bytes('two'))
  const versions = sent.map((envelope) => decodeRecord(reopen(envelope)).version)
  assert.deepEqual(versions, [1, 2])
  await eventually(() => shown(bob, '/shared/leader') === 'two', 'bob never saw the second')
})

test('many compactions at once are refused in words, and keep nobody from writing', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  const { keyValues } = alice.registry
  for (const value of ['1', '2', '3']) await alice.registry.put('/tools/a', bytes(value))
  const compactions = Array.from({ length: 20 }, () => keyValues.compact(keyValues.revision))
  const put = alice.registry.put('/tools/b', bytes('x'))
  const codes = (await Promise.allSettled(compactions)).map((result) =>
    result.status === 'rejected' && isNodeError(result.reason) ? result.reason.code : 'done',
  )
  await put
  assert.deepEqual(new Set(codes), new Set(['done', 'REVISION_COMPACTED', 'QUEUE_FULL']))
})

test('a key of very many versions is compacted without anybody waiting for it', { timeout: 20_000 }, () => {
  const history = new History()
  let previous: KeyValue | undefined
  for (let modified = 2; modified < 60_000; modified += 1) {
    const fields = { key: '/local/counter', created: 2, modified, version: modified - 1, lease: 0n }
    const kv = KeyValue.of(fields, new Uint8Array(8))
    history.apply([{ type: 'put', kv, previous }], modified)
    previous = kv
  }
  history.compact(30_000, history.outlived(30_000))
  assert.equal(history.get('/local/counter', 30_000)?.modified, 30_000)
  assert.throws(() => history.get('/local/counter', 29_999), { code: 'REVISION_COMPACTED' })
})

test('a lease that is over is not renewed, and a renewal that was answered holds', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  const { keyValues } = alice.registry
  const { id } = await keyValues.leases.grant(0n, 2)
  await keyValues.transact((tx) => tx.put('/local/lock', bytes('mine'), id))
  const until = Date.now() + 5_000
  // As often as can be, until it fails once: from then on there is no lease, and before that there always is one.
  let answered = 0
  while (Date.now() < until) {
    await keyValues.leases.keepAlive(id)
    answered += 1
    assert(keyValues.get('/local/lock') !== undefined, `lost after ${answered} renewals`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  await eventually(() => keyValues.get('/local/lock') === undefined, 'the lease never ended', 6_000)
  await assert.rejects(keyValues.leases.keepAlive(id), { code: 'LEASE_NOT_FOUND' })
})

test('a record from far ahead of its time is not kept for later', async (t) => {
  const [alice, mallory] = await startFederation(t, ['mallory'])
  assert(alice && mallory)
  const fields = { federation: alice.genesis.federation, key: '/tools/tomorrow' }
  const ahead = await sealRecord(mallory.identity, { ...fields, time: Date.now() + DAY_MS })
  const verdict = await alice.registry.receive(ahead.envelope)
  assert.equal(verdict.action === 'ignore' && verdict.code, 'FUTURE')
})
