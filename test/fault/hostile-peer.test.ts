import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { encode } from '@ipld/dag-cbor'
import { recordBytesMax } from '../../src/base/limits.ts'
import { withDeadline } from '../../src/base/wait.ts'
import { Frames } from '../../src/network/frames.ts'
import { registryTopic } from '../../src/registry/gossip-replication.ts'
import { SYNC_PROTOCOL } from '../../src/registry/sync.ts'
import { eventually } from '../support/eventually.ts'
import { startLoopbackNetwork } from '../support/loopback-network.ts'
import { newIdentity, sealRecord } from '../support/records.ts'
import { type RegistryNode, startFederation } from '../support/registry-node.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

/** Alice, and Mallory who is a member gone bad; what Mallory publishes goes out as it is. */
async function aliceAndMallory(t: Parameters<typeof startFederation>[0]) {
  const [alice, mallory] = await startFederation(t, ['mallory'])
  assert(alice && mallory)
  const topic = registryTopic(alice.genesis.federation)
  const say = (envelope: Uint8Array) => mallory.network.gossip.publish(topic, envelope)
  const sealed = (fields: Parameters<typeof sealRecord>[1], by = mallory.identity) =>
    sealRecord(by, { federation: alice.genesis.federation, ...fields })
  return { alice, mallory, say, sealed }
}

/** An honest write of the other side that still arrives shows that what came before it has been judged. */
async function stillHears(alice: RegistryNode, mallory: RegistryNode, key: string): Promise<void> {
  await mallory.registry.put(key, bytes('honest'))
  await eventually(() => alice.registry.get(key) !== undefined, `${key} never arrived`)
}

test('forged, foreign and stolen records leave no trace', async (t) => {
  const { alice, mallory, say, sealed } = await aliceAndMallory(t)
  await stillHears(alice, mallory, '/tools/before')
  const digest = alice.registry.digest()

  const forged = Uint8Array.from((await sealed({ key: '/tools/forged' })).envelope)
  forged[forged.length - 1] = (forged.at(-1) as number) ^ 1
  await say(forged)
  await say((await sealed({ key: '/tools/foreign', federation: 'maoelsewhere' })).envelope)
  await say((await sealed({ key: '/tools/stolen', author: alice.identity.peerId })).envelope)
  await say((await sealed({ key: `/heads/data/${alice.identity.peerId}` })).envelope)
  await say((await sealed({ key: '/tools/stranger' }, await newIdentity())).envelope)
  await say((await sealed({ key: `/members/${mallory.identity.peerId}` })).envelope)
  await say((await sealed({ key: '/tools/tomorrow', time: Date.now() + 86_400_000 })).envelope)
  await sleep(300)
  assert.equal(alice.registry.digest(), digest)
  await stillHears(alice, mallory, '/tools/after')
})

test('a peer that keeps sending forgeries is not listened to any more', async (t) => {
  const { alice, mallory, say, sealed } = await aliceAndMallory(t)
  await stillHears(alice, mallory, '/tools/before')
  for (let n = 0; n < 12; n += 1) {
    const forged = Uint8Array.from((await sealed({ key: `/tools/forged-${n}` })).envelope)
    forged[forged.length - 1] = (forged.at(-1) as number) ^ 1
    await say(forged)
  }
  // Gossipsub keeps a peer's score for a second before it asks again, so the silence sets in a moment later.
  let unheard = 0
  for (let n = 0; unheard < 3; n += 1) {
    assert(n < 20, 'gossip of a peer that only forges is still read')
    const key = `/tools/honest-again-${n}`
    await say((await sealed({ key })).envelope)
    await sleep(400)
    unheard = alice.registry.get(key) === undefined ? unheard + 1 : 0
  }
})

test('one author, one version, two values: all nodes keep the same one, and the proof', async (t) => {
  const [alice, bob, mallory] = await startFederation(t, ['bob', 'mallory'])
  assert(alice && bob && mallory)
  await eventually(() => bob.members.list().length === 3, 'bob never heard of mallory')
  const fields = { federation: alice.genesis.federation, key: '/tools/two-faced', version: 5 }
  const one = await sealRecord(mallory.identity, { ...fields, value: bytes('one') })
  const two = await sealRecord(mallory.identity, { ...fields, value: bytes('two') })
  await alice.registry.receive(one.envelope)
  await alice.registry.receive(two.envelope)
  await bob.registry.receive(two.envelope)
  await bob.registry.receive(one.envelope)
  const shown = [alice, bob].map((node) => Buffer.from(node.registry.get(fields.key)?.value ?? []).toString())
  assert.equal(shown[0], shown[1])
  assert.equal(alice.registry.digest(), bob.registry.digest())
})

test('oversize messages are refused here and hurt nobody there', async (t) => {
  const { alice, mallory, say } = await aliceAndMallory(t)
  await assert.rejects(say(new Uint8Array(5 * 1024 * 1024)), { code: 'TOO_LARGE' })
  const large = new Uint8Array(recordBytesMax)
  await assert.rejects(mallory.registry.put('/tools/large', large), { code: 'TOO_LARGE', message: /dataset/ })
  await stillHears(alice, mallory, '/tools/after')
})

test('a catch-up that talks nonsense is cut, and the next one works', async (t) => {
  const { alice, mallory } = await aliceAndMallory(t)
  const { federation } = alice.genesis
  const nonsense = [
    new Uint8Array([1, 2, 3]),
    encode({ kind: 'compare' }),
    encode({ kind: 'get', federation, places: Array.from({ length: 5_000 }, () => 'x') }),
    encode({
      kind: 'compare',
      federation: 'maoelsewhere',
      range: { from: '', to: null, digest: '0'.repeat(64) },
    }),
  ]
  for (const message of nonsense) {
    const stream = await mallory.network.open(alice.identity.peerId, SYNC_PROTOCOL)
    const frames = new Frames(stream)
    await frames.write(message)
    await assert.rejects(frames.read(), { code: 'STREAM_CLOSED' })
  }
  await alice.registry.put('/tools/x', bytes('x'))
  await mallory.sync.pullNow(alice.identity.peerId)
  assert.equal(mallory.registry.digest(), alice.registry.digest())
})

test('a peer that never answers does not hold up the stop', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  const mute = await startLoopbackNetwork(t)
  const asked = new Promise<void>((resolve) => {
    void mute.handle(SYNC_PROTOCOL, () => {
      resolve()
      return new Promise(() => undefined)
    })
  })
  await alice.network.dial(mute.addresses())
  await withDeadline(asked, 10_000, 'The first question')
  await withDeadline(alice.sync.stop(), 5_000, 'The stop')
})
