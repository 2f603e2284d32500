import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Frames } from '../../src/network/frames.ts'
import type { Network } from '../../src/network/network.ts'
import { eventually } from '../support/eventually.ts'
import { startLoopbackNetwork } from '../support/loopback-network.ts'

const [TOPIC, ECHO] = ['/mao/test/topic', '/mao/test/echo']

/** A node that echoes, and hears what is said on a topic. */
async function listener(test: TestContext, networkKey?: Uint8Array) {
  const network = await startLoopbackNetwork(test, networkKey === undefined ? {} : { networkKey })
  const heard: string[] = []
  const listening: string[] = []
  const connected: string[] = []
  network.gossip.join(TOPIC, async (bytes) => {
    heard.push(Buffer.from(bytes).toString())
    return 'accept'
  })
  network.gossip.onSubscriber(TOPIC, (peer) => listening.push(peer))
  network.onConnect((peer) => connected.push(peer))
  await network.handle(ECHO, async (stream) => {
    const frames = new Frames(stream)
    await frames.write((await frames.read()) ?? new Uint8Array())
    await stream.closeWrite()
  })
  return { network, heard, listening, connected }
}

async function echo(from: Network, to: Network, word: string): Promise<string> {
  const frames = new Frames(await from.open(to.peerId, ECHO, AbortSignal.timeout(5_000)))
  await frames.write(Buffer.from(word))
  return Buffer.from((await frames.read()) ?? []).toString()
}

/** Two that do not understand each other wait until one gives up. */
async function refused(from: Network, to: Network): Promise<void> {
  const dialling = from.dial(to.addresses(), AbortSignal.timeout(700))
  await assert.rejects(dialling, { code: 'PEER_UNREACHABLE' })
}

test('who has no key of a private network, or another one, sees nothing of it', async (t) => {
  const key = randomBytes(32)
  const [alice, bob] = [await listener(t, key), await listener(t, key)]
  await bob.network.dial(alice.network.addresses())
  assert.equal(await echo(bob.network, alice.network, 'among us'), 'among us')
  for (const stranger of [await listener(t), await listener(t, randomBytes(32))]) {
    await refused(stranger.network, alice.network)
    assert.deepEqual(stranger.connected, [])
    await refused(alice.network, stranger.network)
  }
  assert.deepEqual(alice.network.connectedPeers(), [bob.network.peerId])
})

test('a node that changes its network keeps its addresses, handlers, topics and listeners', async (t) => {
  const key = randomBytes(32)
  const [alice, bob] = [await listener(t), await listener(t)]
  const { gossip } = bob.network
  await bob.network.dial(alice.network.addresses())
  const addresses = bob.network.addresses()
  await eventually(() => alice.listening.length === 1, 'alice never heard bob subscribe')

  // While bob moves, what is asked of his network waits for the move.
  const moving = bob.network.rekey(key)
  await setImmediate()
  assert.deepEqual(bob.network.connectedPeers(), [])
  assert.deepEqual(bob.network.addresses(), addresses)
  await gossip.publish(TOPIC, Buffer.from('into the void'))
  await refused(bob.network, alice.network)
  await moving
  assert.deepEqual(bob.network.addresses(), addresses)
  assert.equal(bob.network.gossip, gossip)

  await alice.network.rekey(key)
  await alice.network.dial(addresses)
  assert.equal(await echo(alice.network, bob.network, 'to the old handler'), 'to the old handler')
  assert.deepEqual(bob.connected, [alice.network.peerId, alice.network.peerId])
  await eventually(() => alice.listening.length === 2, 'alice never heard bob subscribe again')
  await gossip.publish(TOPIC, Buffer.from('after the move'))
  await eventually(() => alice.heard.includes('after the move'), 'gossip is dead after the move')
  assert(!alice.heard.includes('into the void'))

  await alice.network.rekey(undefined)
  await eventually(() => bob.network.connectedPeers().length === 0, 'bob is still connected to who left')
})

test('a key that is none leaves the network as it was', async (t) => {
  const [alice, bob] = [await listener(t), await listener(t)]
  await assert.rejects(bob.network.rekey(randomBytes(31)), { code: 'INVALID_INPUT' })
  assert.equal(bob.network.networkKey, undefined)
  await bob.network.dial(alice.network.addresses())
  assert.equal(await echo(bob.network, alice.network, 'still here'), 'still here')
})

test('who is refused is hung up on at once, and not let in again', async (t) => {
  const [alice, bob, cleo] = [await listener(t), await listener(t), await listener(t)]
  await bob.network.dial(alice.network.addresses())
  await cleo.network.dial(alice.network.addresses())
  const refused = new Set<string>()
  const gate = { refuses: (peer: string) => refused.has(peer), relaysFor: () => false }
  alice.network.useGate(gate)
  assert.equal(alice.network.connectedPeers().length, 2)
  refused.add(bob.network.peerId)
  alice.network.regate()
  await eventually(() => bob.network.connectedPeers().length === 0, 'bob is still connected')
  assert.deepEqual(alice.network.connectedPeers(), [cleo.network.peerId])
  // A refused dialler may see its connection open for a moment.
  await bob.network.dial(alice.network.addresses()).catch(() => undefined)
  await eventually(() => bob.network.connectedPeers().length === 0, 'bob was let in again')
  await assert.rejects(echo(bob.network, alice.network, 'let me in'), { code: 'PEER_UNREACHABLE' })
  await assert.rejects(alice.network.dial(bob.network.addresses()), { code: 'PEER_UNREACHABLE' })
  alice.network.useGate()
  await bob.network.dial(alice.network.addresses())
  assert.equal(await echo(bob.network, alice.network, 'forgiven'), 'forgiven')
})
