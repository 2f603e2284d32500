import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Frames } from '../../src/network/frames.ts'
import type { Network } from '../../src/network/network.ts'
import { networkSettingsSchema } from '../../src/network/settings.ts'
import { eventually } from '../support/eventually.ts'
import { startLoopbackNetwork } from '../support/loopback-network.ts'

const [TOPIC, ECHO] = ['/mao/test/topic', '/mao/test/echo']
/** What a place takes that is granted: some round trips on this machine. */
const ASKING_MS = 200
const settings = (said: object) => networkSettingsSchema.parse({ dht: false, ...said })

async function serveEcho(network: Network): Promise<void> {
  await network.handle(ECHO, async (stream) => {
    for (let chunk = await stream.read(); chunk !== undefined; chunk = await stream.read())
      await stream.write(chunk)
    await stream.closeWrite()
  })
}

async function echo(from: Network, to: Network, bytes: Uint8Array): Promise<number> {
  const stream = await from.open(to.peerId, ECHO, AbortSignal.timeout(5_000))
  const sending = stream.write(bytes).then(() => stream.closeWrite())
  let back = 0
  for (let chunk = await stream.read(); chunk !== undefined; chunk = await stream.read()) back += chunk.length
  await sending
  return back
}

/** A relay of the federation, and a member that nobody can dial: it has only a place there. */
async function behindRelay(test: TestContext) {
  const members = new Set<string>()
  const gate = { refuses: () => false, relaysFor: (peer: string) => members.has(peer), relays: () => true }
  const relay = await startLoopbackNetwork(test, { settings: settings({ relay: 'always' }) })
  relay.useGate(gate)
  const hidden = await startLoopbackNetwork(test, {
    listen: [],
    settings: settings({ relayed: 'always' }),
  })
  await serveEcho(hidden)
  const circuits = () => hidden.addresses().filter((address) => address.includes('/p2p-circuit'))
  return { members, relay, hidden, circuits }
}

test('a member behind a relay is reached through it, a stranger gets no place there', async (t) => {
  const { members, relay, hidden, circuits } = await behindRelay(t)
  await hidden.dial(relay.addresses())
  // The relay knows it for no member yet, so it has no place; once it is one it asks again by itself.
  await eventually(async () => (await protocols(hidden, relay)).includes(HOP), 'the relay offers nothing')
  await sleep(ASKING_MS)
  assert.deepEqual(circuits(), [])
  members.add(hidden.peerId)
  await eventually(() => circuits().length > 0, 'there is no place on the relay')
  assert.deepEqual(hidden.reachability().relays, [relay.peerId])

  const visitor = await startLoopbackNetwork(t, { settings: settings({}) })
  members.add(visitor.peerId)
  assert.equal(await visitor.dial(circuits()), hidden.peerId)
  const mebibytes = new Uint8Array(12 * 1024 * 1024)
  assert.equal(await echo(visitor, hidden, mebibytes), mebibytes.length)
  // Gossip goes that way too.
  const heard: string[] = []
  const listening: string[] = []
  hidden.gossip.join(TOPIC, async (bytes) => {
    heard.push(Buffer.from(bytes).toString())
    return 'accept'
  })
  visitor.gossip.onSubscriber(TOPIC, (peer) => listening.push(peer))
  visitor.gossip.join(TOPIC, async () => 'accept')
  await eventually(() => listening.includes(hidden.peerId), 'nobody listens behind the relay')
  await visitor.gossip.publish(TOPIC, Buffer.from('through the relay'))
  await eventually(() => heard.includes('through the relay'), 'gossip does not pass the relay')
})

test('a newcomer reaches a member behind a relay, but may not say much before it is admitted', async (t) => {
  const { members, relay, hidden, circuits } = await behindRelay(t)
  members.add(hidden.peerId)
  await hidden.dial(relay.addresses())
  await eventually(() => circuits().length > 0, 'there is no place on the relay')
  const newcomer = await startLoopbackNetwork(t, { settings: settings({}) })
  assert.equal(await newcomer.dial(circuits()), hidden.peerId)
  assert.equal(await echo(newcomer, hidden, Buffer.from('may I come in?')), 14)
  const much = new Uint8Array(8 * 1024 * 1024)
  await assert.rejects(echo(newcomer, hidden, much))
  await eventually(() => !newcomer.connectedPeers().includes(hidden.peerId), 'the flood was not cut')
  members.add(newcomer.peerId)
  await newcomer.dial(circuits())
  assert.equal(await echo(newcomer, hidden, much), much.length)
})

test('who is no member any more loses its place, and whoever is refused is not connected through it', async (t) => {
  const { members, relay, hidden, circuits } = await behindRelay(t)
  members.add(hidden.peerId)
  await hidden.dial(relay.addresses())
  await eventually(() => circuits().length > 0, 'there is no place on the relay')
  const at = circuits()
  members.delete(hidden.peerId)
  relay.regate()
  const visitor = await startLoopbackNetwork(t, { settings: settings({}) })
  members.add(visitor.peerId)
  await assert.rejects(visitor.dial(at), { code: 'PEER_UNREACHABLE' })
})

const HOP = '/libp2p/circuit/relay/0.2.0/hop'

async function protocols(of: Network, peer: Network): Promise<string[]> {
  const id = of.host?.getPeers().find((one) => one.toString() === peer.peerId)
  if (id === undefined) return []
  return (await of.host?.peerStore.get(id))?.protocols ?? []
}

test('frames pass a relay as they pass a line', async (t) => {
  const { members, relay, hidden, circuits } = await behindRelay(t)
  members.add(hidden.peerId)
  await hidden.dial(relay.addresses())
  await eventually(() => circuits().length > 0, 'there is no place on the relay')
  const visitor = await startLoopbackNetwork(t, { settings: settings({}) })
  members.add(visitor.peerId)
  visitor.useAddresses((peer) => (peer === hidden.peerId ? circuits() : []))
  const frames = new Frames(await visitor.open(hidden.peerId, ECHO))
  await frames.write(Buffer.from('a frame'))
  assert.equal(Buffer.from((await frames.read()) ?? []).toString(), 'a frame')
})
