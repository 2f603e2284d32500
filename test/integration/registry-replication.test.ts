import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { startFederation, startRegistryNode } from '../support/registry-node.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

test('what one member writes, gossip brings to the others', async (t) => {
  const [alice, bob, carol] = await startFederation(t, ['bob', 'carol'])
  assert(alice && bob && carol)
  await eventually(() => bob.members.list().length === 3, 'bob never heard of carol')
  await bob.network.dial(carol.network.addresses())
  await bob.registry.put('/tools/collect', bytes('v1'))
  for (const node of [alice, carol]) {
    await eventually(() => node.registry.get('/tools/collect') !== undefined, 'the tool never arrived')
  }
  await bob.registry.delete('/tools/collect')
  await eventually(() => carol.registry.get('/tools/collect') === undefined, 'the deletion never arrived')
  await eventually(() => alice.registry.digest() === carol.registry.digest(), 'alice and carol never agreed')
})

test('a member that was away through all the gossip is complete again with no new write', async (t) => {
  const [alice, bob] = await startFederation(t, ['bob'])
  assert(alice && bob)
  await bob.stop()
  for (let n = 0; n < 500; n += 1) await alice.registry.put(`/tools/tool-${n}`, bytes(`value ${n}`))
  await alice.registry.delete('/tools/tool-7')

  const again = await startRegistryNode(t, { genesis: alice.genesis, directory: bob.directory })
  await again.network.dial(alice.network.addresses())
  await eventually(() => again.registry.digest() === alice.registry.digest(), 'bob never caught up')
  assert.equal(again.registry.list('/tools/').length, 499)
})

test('both sides of a partition write, and agree once it heals', async (t) => {
  const [alice, bob] = await startFederation(t, ['bob'])
  assert(alice && bob)
  await alice.network.hangUp(bob.identity.peerId)
  await eventually(() => alice.network.connectedPeers().length === 0, 'the connection stayed')
  await Promise.all([
    alice.registry.put('/tools/same', bytes('of alice')),
    bob.registry.put('/tools/same', bytes('of bob')),
    bob.registry.put('/tools/other', bytes('of bob')),
  ])
  await bob.network.dial(alice.network.addresses())
  await eventually(() => bob.registry.digest() === alice.registry.digest(), 'they never agreed')
  for (const node of [alice, bob]) {
    const shown = node.registry.get('/tools/same')
    assert.equal(shown?.author, alice.identity.peerId, "the operator's claim is shown")
    assert.equal(shown?.contested, true)
    assert.equal(node.registry.claims('/tools/same').length, 2)
  }
})

test('a stranger neither writes nor reads', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  const stranger = await startRegistryNode(t, { genesis: alice.genesis })
  await stranger.network.dial(alice.network.addresses())
  await assert.rejects(stranger.registry.put('/tools/mine', bytes('x')), { code: 'NOT_A_MEMBER' })
  await assert.rejects(stranger.sync.pullNow(alice.identity.peerId), { code: 'STREAM_CLOSED' })
})

test('where everybody reaches one node only, what that node catches up with reaches the others at once', async (t) => {
  const [hub, ann, ben] = await startFederation(t, ['ann', 'ben'])
  assert(hub && ann && ben)
  await eventually(() => ben.members.list().length === 3, 'ben never heard of ann')
  await hub.network.hangUp(ann.identity.peerId)
  await eventually(() => ann.network.connectedPeers().length === 0, 'the connection stayed')
  await ann.registry.put('/tools/alone', bytes('written while cut off'))
  await ann.network.dial(hub.network.addresses())
  await eventually(() => ben.registry.get('/tools/alone') !== undefined, 'ben waits for his next catch-up')
})
