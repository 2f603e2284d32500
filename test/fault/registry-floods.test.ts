import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GossipSub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { systemClock } from '../../src/base/clock.ts'
import { gossipRecordsPerSecondMax } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { Conduct } from '../../src/network/conduct.ts'
import { Frames } from '../../src/network/frames.ts'
import { gossipService, PubsubGossip } from '../../src/network/gossip.ts'
import { registryTopic } from '../../src/registry/gossip-replication.ts'
import { SYNC_PROTOCOL } from '../../src/registry/sync-messages.ts'
import { eventually } from '../support/eventually.ts'
import { bytesKept } from '../support/memory.ts'
import { type RawGossip, startRawGossip } from '../support/raw-gossip.ts'
import { newIdentity, sealRecord } from '../support/records.ts'
import { type RegistryNode, startFederation } from '../support/registry-node.ts'
import { rowsOf } from '../support/store-rows.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const MIB = 1024 * 1024

/** Honest gossip goes on: what Bob writes now, Alice hears. */
async function stillHears(alice: RegistryNode, bob: RegistryNode, key: string): Promise<void> {
  const { accept } = alice.network.gossip.counts
  await bob.registry.put(key, bytes('honest'))
  await eventually(() => alice.registry.get(key) !== undefined, `${key} never arrived`)
  assert(alice.network.gossip.counts.accept > accept, 'it came by catch-up, not by gossip')
}

/** Alice and Bob, who gossip, and a stranger who speaks for himself. */
async function withStranger(t: TestContext) {
  const [alice, bob] = await startFederation(t, ['bob'])
  assert(alice && bob)
  await eventually(async () => {
    await bob.registry.put('/tools/before', bytes(String(Math.random())))
    await sleep(50)
    return alice.network.gossip.counts.accept > 0
  }, 'the two never began to gossip')
  const stranger = await startRawGossip(t, alice.network)
  return { alice, bob, stranger, topic: registryTopic(alice.genesis.federation) }
}

const topics = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => ({ subscribe: true, topic: `/nobody/knows/${from + n}` }))

test('10,000 records of unknown authors are ignored, and the store does not grow', async (t) => {
  const { alice, bob, stranger, topic } = await withStranger(t)
  const authors = await Promise.all(Array.from({ length: 20 }, () => newIdentity()))
  const envelopes: Uint8Array[] = []
  for (let n = 0; n < 10_000; n += 1) {
    const author = authors[n % authors.length]
    assert(author)
    const record = { federation: alice.genesis.federation, key: `/tools/unknown-${n}` }
    envelopes.push((await sealRecord(author, record)).envelope)
  }
  const before = { rows: await rowsOf(alice), digest: alice.registry.digest(), kept: bytesKept() }
  // Some come by gossip, and all of them by the door behind it.
  const gossiped = envelopes.slice(0, 500)
  await stranger.say({ messages: gossiped.map((data) => ({ topic, data })) })
  const ignored = () => alice.registry.verdicts.get('UNKNOWN_AUTHOR') ?? 0
  await eventually(() => ignored() === gossiped.length, 'the gossip of the stranger was never judged')
  for (let from = 0; from < envelopes.length; from += 1_000)
    await alice.registry.receiveAll(envelopes.slice(from, from + 1_000))
  assert.equal(ignored(), gossiped.length + envelopes.length)
  assert.equal(alice.registry.digest(), before.digest)
  assert.deepEqual(await rowsOf(alice), before.rows)
  assert(bytesKept() - before.kept < 16 * MIB, 'something of them is kept in memory')
  await stillHears(alice, bob, '/tools/after')
})

test('a peer that subscribes to 100,000 unknown topics is hung up on and not let in again; honest gossip goes on', async (t) => {
  const { alice, bob, stranger } = await withStranger(t)
  const before = bytesKept()
  const flood = async () => {
    for (let from = 0; from < 100_000; from += 1_000)
      await stranger.say({ subscriptions: topics(from, 1_000) })
  }
  // How far it comes before it is cut is a matter of the sockets.
  await flood().catch((error) => assert.equal(error.code, 'STREAM_CLOSED'))
  await eventually(() => !stranger.isConnected(), 'the peer is still connected')
  assert(bytesKept() - before < 8 * MIB, 'its topics are kept')
  await stillHears(alice, bob, '/tools/after')
  await stranger.connect().catch(() => undefined)
  await eventually(() => !stranger.isConnected(), 'the peer was let in again')
  assert(!alice.network.connectedPeers().includes(stranger.identity.peerId))
})

test('what is remembered of one peer’s topics is bounded, whoever hangs up on it or not', async (t) => {
  const host = await createLibp2p<{ identify: unknown; pubsub: GossipSub }>({
    ...{ addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] }, transports: [tcp()] },
    ...{ connectionEncrypters: [noise()], streamMuxers: [yamux()] },
    services: {
      identify: identify(),
      pubsub: gossipService({ conduct: new Conduct(), clock: systemClock, topics: new Set() }),
    },
  })
  t.after(() => host.stop())
  const { pubsub } = host.services
  let [named, hungUp] = [0, 0]
  new PubsubGossip({
    ...{ pubsub, conduct: new Conduct(), clock: systemClock, topics: new Set(), log: silentLogger },
    hangUp: () => {
      hungUp += 1
    },
  })
  pubsub.addEventListener('subscription-change', () => {
    named += 1
  })
  const peer = await startRawGossip(t, { addresses: () => host.getMultiaddrs().map(String) })
  const known = () => (Reflect.get(pubsub, 'topics') as Map<string, unknown>).size
  for (let from = 0; from < 100_000; from += 1_000) await peer.say({ subscriptions: topics(from, 1_000) })
  await eventually(() => named === 100, 'not all of the subscriptions were heard')
  assert(hungUp > 0)
  assert(known() > 0 && known() <= 256, `${known()} topics are remembered`)
})

test('messages on topics that nobody here listens to are kept nowhere', async (t) => {
  const { alice, bob, stranger, topic } = await withStranger(t)
  const before = bytesKept()
  const data = (n: number) => new Uint8Array(60_000).fill(n % 251)
  for (let n = 0; n < 1_000; n += 10) {
    const messages = Array.from({ length: 10 }, (_, m) => ({ topic: '/nobody/knows', data: data(n + m) }))
    for (const [m, message] of messages.entries()) message.data.set(bytes(`${n} ${m}`))
    await stranger.say({ messages })
  }
  // Behind them comes one that is judged, so that they have been read by then.
  await stranger.say({ messages: [{ topic, data: bytes('rubbish') }] })
  await eventually(() => alice.network.gossip.counts.reject > 0, 'the messages were never read')
  // Gossip would keep them for five seconds.
  const kept = () => bytesKept() - before
  await eventually(() => kept() < 20 * MIB, `${Math.round(kept() / MIB)} MiB of 60 are kept`, 2_500)
  await stillHears(alice, bob, '/tools/after')
})

test('a publish of 5 MiB is refused at once with a clear word, and hurts nobody', async (t) => {
  const { alice, bob, topic } = await withStranger(t)
  await assert.rejects(bob.network.gossip.publish(topic, new Uint8Array(5 * MIB)), {
    code: 'TOO_LARGE',
    message: /at most 65536 bytes, this one 5242880/,
  })
  await assert.rejects(bob.registry.put('/tools/large', new Uint8Array(5 * MIB)), {
    code: 'TOO_LARGE',
    message: /dataset/,
  })
  await stillHears(alice, bob, '/tools/after')
})

test('a frame of 10 MiB has its stream reset and its connection ended, and the node goes on', async (t) => {
  const { alice, bob, stranger } = await withStranger(t)
  const before = bytesKept()
  await stranger.frame(new Uint8Array(10 * MIB)).catch(() => undefined)
  await eventually(() => stranger.isCut(), 'the stream was not reset')
  await assert.rejects(stranger.frame(new Uint8Array(10 * MIB)), { code: 'STREAM_CLOSED' })
  await eventually(() => !stranger.isConnected(), 'the connection is still there')
  assert(!alice.network.connectedPeers().includes(stranger.identity.peerId))
  await stillHears(alice, bob, '/tools/after')

  // Of a stream of our own the announcement is enough.
  const stream = await bob.network.open(alice.identity.peerId, SYNC_PROTOCOL)
  const announced = Buffer.alloc(4)
  announced.writeUInt32BE(10 * MIB, 0)
  await stream.write(announced)
  await assert.rejects(new Frames(stream).read(), { code: 'STREAM_CLOSED' })
  await stillHears(alice, bob, '/tools/after-catch-up')

  // Only what it did was ended: it may come again.
  await stranger.connect()
  await stranger.say({ subscriptions: [] })
  await stillHears(alice, bob, '/tools/later')
  // Now nothing of the frame is left at the stranger's end either.
  await eventually(() => bytesKept() - before < 8 * MIB, 'the frame is kept')
})

test('the largest record there may be is gossiped, and what is written after it', async (t) => {
  const { alice, bob } = await withStranger(t)
  const largest = 64 * 1024
  let size = largest
  for (; size > largest - 1_024; size -= 1) {
    const written = await bob.registry.put('/tools/large', new Uint8Array(size)).catch(() => undefined)
    if (written !== undefined) break
  }
  assert.equal(bob.registry.envelope('/tools/large')?.length, largest)
  await eventually(() => alice.registry.get('/tools/large') !== undefined, 'the large record never arrived')
  await stillHears(alice, bob, '/tools/after')
})

/** Says `perSecond` of a member's records a second for `ms`, whoever listens. */
async function flood(peer: RawGossip, alice: RegistryNode, perSecond: number, ms: number): Promise<number> {
  const topic = registryTopic(alice.genesis.federation)
  const stepMs = 50
  let said = 0
  for (const begunMs = performance.now(); performance.now() - begunMs < ms; await sleep(stepMs)) {
    const due = Math.floor(((performance.now() - begunMs + stepMs) / 1_000) * perSecond) - said
    const messages: { topic: string; data: Uint8Array }[] = []
    for (let n = 0; n < due; n += 1) {
      const record = { federation: alice.genesis.federation, key: `/tools/flood-${said + n}` }
      messages.push({ topic, data: (await sealRecord(peer.identity, record)).envelope })
    }
    said += due
    await peer.say({ messages })
  }
  return said
}

test('a member that says 1,000 records a second is slowed down, and the records of another arrive meanwhile', async (t) => {
  const { alice, bob } = await withStranger(t)
  const mallory = await startRawGossip(t, alice.network)
  await alice.members.admit(mallory.identity.peerId, 'mallory', 'member')
  const begunMs = performance.now()
  let over = false
  const flooding = flood(mallory, alice, 1_000, 4_000).finally(() => {
    over = true
  })
  await eventually(() => alice.network.gossip.counts.ignore > 0, 'the flood was never limited')
  for (let n = 0; n < 20; n += 1) {
    const key = `/tools/honest-${n}`
    await stillHears(alice, bob, key)
    if (!over) t.diagnostic(`${key} arrived while the flood ran`)
  }
  assert(!over || performance.now() - begunMs > 4_000)
  const said = await flooding
  await sleep(300)
  const stored = alice.registry.list('/tools/flood-').length
  const seconds = (performance.now() - begunMs) / 1_000
  const allowed = gossipRecordsPerSecondMax * (2 + seconds)
  assert(stored > 0 && stored <= allowed, `${stored} of ${said} in ${seconds} s, ${allowed} are allowed`)
  assert(stored < said, 'all of the flood was judged')
})
