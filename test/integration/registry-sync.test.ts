import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { recordBytesMax, syncRefusedPerAuthorMax } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { reopen, seal } from '../../src/identity/envelope.ts'
import type { Identity } from '../../src/identity/node-key.ts'
import { EVERYTHING } from '../../src/registry/ranges.ts'
import { encodeRecord, type RegistryRecord, type SealedRecord } from '../../src/registry/record.ts'
import type { RecordIndex } from '../../src/registry/record-index.ts'
import { Sync } from '../../src/registry/sync.ts'
import { ignore, type Refusal, type Verdict } from '../../src/registry/verdict.ts'
import { StreamExchange } from '../support/byte-stream-pair.ts'
import { eventually } from '../support/eventually.ts'
import { byHash, indexOf, looseRecord, take } from '../support/reconciliation.ts'
import { FEDERATION, newIdentity } from '../support/records.ts'
import { type RegistryNode, startFederation, startRegistryNode } from '../support/registry-node.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const keyOf = (n: number) => `/tools/t${String(n).padStart(6, '0')}`

/** Puts many records at once, as if their author had written them while nobody listened. */
async function fill(node: RegistryNode, count: number, version = 1, value = bytes('value')) {
  const { identity, registry, genesis } = node
  const time = Date.now()
  const about = { federation: genesis.federation, author: identity.peerId, time, since: time }
  const sealed = Array.from({ length: count }, (_, n) => {
    const record: RegistryRecord = { ...about, key: keyOf(n), value, version }
    return seal('record', encodeRecord(record), identity)
  })
  const verdicts = await registry.receiveAll(sealed)
  assert(verdicts.every(({ action }) => action === 'accept'))
}

async function newcomer(t: TestContext, founder: RegistryNode, name: string): Promise<RegistryNode> {
  const node = await startRegistryNode(t, { genesis: founder.genesis })
  await founder.members.admit(node.identity.peerId, name, 'member')
  return node
}

test('a newcomer is brought thousands of records, and an operator sees how far it is', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  await fill(alice, 5_000)
  const bob = await newcomer(t, alice, 'bob')
  await bob.network.dial(alice.network.addresses())
  let seen = 0
  const done = eventually(() => {
    const [now] = bob.sync.progress()
    if (now !== undefined && !now.done && now.accepted > 0 && now.pending > 0) seen += 1
    return bob.registry.digest() === alice.registry.digest()
  }, 'bob never caught up')
  await done
  assert(seen > 0, 'nothing was seen of it on its way')
  await bob.sync.pullNow(alice.identity.peerId)
  const [last] = bob.sync.progress()
  assert.partialDeepStrictEqual(last, { peer: alice.identity.peerId, refused: 0, pending: 0, done: true })
  const [told] = bob.sync.digests()
  const expected = { peer: alice.identity.peerId, digest: alice.registry.digest(), same: true }
  assert.partialDeepStrictEqual(told, expected)
})

test('two nodes that have come apart are seen to, and records that win come whichever way', async (t) => {
  const [alice, bob] = await startFederation(t, ['bob'])
  assert(alice && bob)
  await fill(alice, 300)
  await bob.sync.pullNow(alice.identity.peerId)
  await fill(alice, 300, 2)
  await alice.sync.pullNow(bob.identity.peerId)
  const [apart] = alice.sync.digests()
  assert.equal(apart?.same, false)
  assert.equal(apart?.digest, bob.registry.digest())
  const [progress] = alice.sync.progress()
  assert.equal(progress?.accepted, 0, 'what is outdated was taken')
  assert.deepEqual(await bob.sync.pullNow(alice.identity.peerId), { accepted: 300, refused: 0 })
  assert.equal(bob.registry.digest(), alice.registry.digest())
})

test('a catch-up that is cut goes on where it was', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  await fill(alice, 6_000)
  const bob = await newcomer(t, alice, 'bob')
  await bob.network.dial(alice.network.addresses())
  await eventually(() => bob.registry.index.size > 1_000, 'the catch-up never began')
  await bob.network.hangUp(alice.identity.peerId)
  await eventually(() => bob.sync.progress()[0]?.done === true, 'the catch-up was not cut')
  const kept = bob.registry.index.size
  assert(kept < 6_000, 'it was complete before it was cut')
  await bob.network.dial(alice.network.addresses())
  await eventually(() => bob.registry.digest() === alice.registry.digest(), 'bob never caught up')
  const accepted = bob.sync.progress().reduce((sum, entry) => sum + entry.accepted, 0)
  assert(accepted <= alice.registry.index.size - kept, `${accepted} were brought again, ${kept} were there`)
})

test('records of the largest size pass, some to a frame', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  await fill(alice, 60, 1, new Uint8Array(recordBytesMax - 1_000))
  const bob = await newcomer(t, alice, 'bob')
  await bob.network.dial(alice.network.addresses())
  await bob.sync.pullNow(alice.identity.peerId)
  assert.equal(bob.registry.digest(), alice.registry.digest())
  for (const record of bob.registry.index.within(EVERYTHING)) {
    assert.equal(record.envelope.buffer.byteLength, record.envelope.length, 'a frame is kept alive')
  }
})

test('who was admitted by somebody who was admitted by somebody is known after one catch-up', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  let last = alice
  for (const name of ['carl', 'dora', 'emil']) {
    const next = await startRegistryNode(t, { genesis: alice.genesis })
    await last.members.admit(next.identity.peerId, name, 'operator')
    if (last !== alice) await alice.sync.pullNow(last.identity.peerId)
    await next.network.dial(alice.network.addresses())
    await next.sync.pullNow(alice.identity.peerId)
    await next.registry.put(`/tools/of-${name}`, bytes(name))
    await alice.sync.pullNow(next.identity.peerId)
    last = next
  }
  const late = await newcomer(t, alice, 'late')
  await late.network.dial(alice.network.addresses())
  await late.sync.pullNow(alice.identity.peerId)
  assert.equal(late.registry.digest(), alice.registry.digest())
  assert.equal(late.registry.list('/tools/').length, 3)
})

const hexOf = (envelope: Uint8Array) => Buffer.from(envelope).toString('hex')

/** Nodes within the process whose registry is an index alone, to count what they are brought. */
function quietNode(
  exchange: StreamExchange,
  self: string,
  index: RecordIndex,
  recordOf: (envelope: Uint8Array) => SealedRecord,
  refusal: (record: SealedRecord) => Refusal | undefined = () => undefined,
) {
  const offered: string[] = []
  const receiveAll = async (envelopes: readonly Uint8Array[]): Promise<Verdict[]> =>
    envelopes.map((envelope) => {
      const record = recordOf(envelope)
      offered.push(record.key)
      const refused = refusal(record)
      if (refused !== undefined) return refused
      return take(index, record) ? { action: 'accept', record } : ignore('STALE', 'It is older')
    })
  const sync = new Sync({
    registry: { federation: FEDERATION, index, receiveAll },
    network: { ...exchange.of(self), onConnect: () => () => undefined },
    mayRead: () => true,
    relay: () => undefined,
    log: silentLogger,
  })
  return { sync, offered, index }
}

async function quietFederation(t: TestContext, names: readonly string[], records: readonly SealedRecord[]) {
  const exchange = new StreamExchange()
  const known = byHash(indexOf(records))
  const recordOf = (envelope: Uint8Array) => known.get(hexOf(envelope)) as SealedRecord
  const nodes = names.map((name, n) => quietNode(exchange, name, indexOf(n === 0 ? [] : records), recordOf))
  // Who serves begins first, so that nobody pulls before it is asked to.
  for (const node of nodes.toReversed()) {
    await node.sync.start()
    t.after(() => node.sync.stop())
  }
  return nodes
}

test('pulls beside each other bring nothing twice', async (t) => {
  const records = Array.from({ length: 5_000 }, (_, n) => looseRecord(keyOf(n)))
  const [ann] = await quietFederation(t, ['ann', 'ben'], records)
  assert(ann)
  const pulls = await Promise.all(Array.from({ length: 5 }, () => ann.sync.pullNow('ben')))
  assert.equal(ann.index.size, 5_000)
  assert.equal(ann.offered.length, 5_000)
  for (const { accepted, refused } of pulls) assert.deepEqual([accepted, refused], [5_000, 0])
})

test('of several peers with the same records each brings a part', async (t) => {
  const records = Array.from({ length: 20_000 }, (_, n) => looseRecord(keyOf(n)))
  const [ann] = await quietFederation(t, ['ann', 'ben', 'carl', 'dora'], records)
  assert(ann)
  await Promise.all(['ben', 'carl', 'dora'].map((peer) => ann.sync.pullNow(peer)))
  assert.equal(ann.index.size, 20_000)
  assert(ann.offered.length < 24_000, `${ann.offered.length} were brought`)
})

/** Records of several authors, and two nodes: ben holds them all, ann refuses as `refusal` says. */
async function pairOf(
  t: TestContext,
  counts: readonly (readonly [author: Identity, count: number])[],
  refusal: (record: SealedRecord) => Refusal | undefined,
  held: readonly SealedRecord[] = [],
) {
  const records = counts.flatMap(([by, count]) =>
    Array.from({ length: count }, (_, n) => {
      const record = looseRecord(`/shared/${by.peerId.slice(-8)}/${n}`, 1, by.peerId)
      return { ...record, envelope: seal('record', record.envelope, by) }
    }),
  )
  const exchange = new StreamExchange()
  const known = byHash(indexOf(records))
  const recordOf = (envelope: Uint8Array) => known.get(hexOf(reopen(envelope))) as SealedRecord
  const ann = quietNode(exchange, 'ann', indexOf(held), recordOf, refusal)
  const ben = quietNode(exchange, 'ben', indexOf([...held, ...records]), recordOf)
  for (const { sync } of [ben, ann]) {
    await sync.start()
    t.after(() => sync.stop())
  }
  return { ann, ben }
}
const identities = (count: number) => Promise.all(Array.from({ length: count }, newIdentity))

test('an author whose records find no room keeps nobody else from being brought', async (t) => {
  const [greedy, zoe] = [await newIdentity(), await newIdentity()]
  const { ann } = await pairOf(
    t,
    [
      [zoe, 100],
      [greedy, 60_000],
    ],
    (record) => (record.author === zoe.peerId ? undefined : ignore('CROWDED', 'There is no room')),
  )
  const { accepted, refused } = await ann.sync.pullNow('ben')
  assert.equal(accepted, 100)
  assert(refused < 20 * syncRefusedPerAuthorMax, `${refused} were brought in vain`)
})

test('a full disk ends a catch-up and is not held against the peer: with room again the next one brings all', async (t) => {
  let isFull = true
  const authors = (await identities(4)).map((by) => [by, 4_000] as const)
  const { ann, ben } = await pairOf(t, authors, () =>
    isFull ? ignore('STORE_FAILED', 'The disk is full') : undefined,
  )
  await assert.rejects(ann.sync.pullNow('ben'), { code: 'STORE_FAILED', message: /disk is full/ })
  assert(ann.offered.length < 16_000, 'all was brought though nothing could be kept')
  isFull = false
  ann.sync.pull('ben')
  await eventually(() => ann.index.size === ben.index.size, 'the peer was not pulled from again')
})

test('where the own clock is behind, neither the peer nor the authors are done without', async (t) => {
  let isBehind = true
  const authors = (await identities(4)).map((by) => [by, 4_000] as const)
  const { ann, ben } = await pairOf(t, authors, () =>
    isBehind ? ignore('FUTURE', 'Its time has not come') : undefined,
  )
  assert.deepEqual(await ann.sync.pullNow('ben'), { accepted: 0, refused: 16_000 })
  isBehind = false
  ann.sync.pull('ben')
  await eventually(() => ann.index.size === ben.index.size, 'the peer was not pulled from again')
})

test('what removed members left behind is not held against who still keeps it', async (t) => {
  const [removed, zoe] = [await identities(5), await newIdentity()]
  const tombstones = removed.map(({ peerId }) => looseRecord(`/members/${peerId}`, 2))
  const left = removed.map((by) => [by, 5_000] as const)
  const refusal = ({ author }: SealedRecord) =>
    author === zoe.peerId ? undefined : ignore('UNKNOWN_AUTHOR', `${author} is no member`)
  const { ann } = await pairOf(t, [...left, [zoe, 100]], refusal, tombstones)
  const { accepted } = await ann.sync.pullNow('ben')
  assert.equal(accepted, 100)
})
