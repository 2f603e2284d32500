import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../src/base/logger.ts'
import { Node } from '../../src/node.ts'
import { eventually } from '../support/eventually.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { type RegistryNode, startFederation, startRegistryNode } from '../support/registry-node.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const same = (...nodes: RegistryNode[]) => new Set(nodes.map((node) => node.registry.digest())).size === 1
const peerOf = (node: RegistryNode) => node.identity.peerId

/** A newcomer that knows nothing but the genesis, admitted by `by`. */
async function newcomer(t: TestContext, by: RegistryNode, name: string): Promise<RegistryNode> {
  const node = await startRegistryNode(t, { genesis: by.genesis })
  await by.members.admit(peerOf(node), name, 'member')
  await node.network.dial(by.network.addresses())
  await node.sync.pullNow(peerOf(by))
  return node
}

async function meet(a: RegistryNode, b: RegistryNode): Promise<void> {
  await a.network.dial(b.network.addresses())
  await a.sync.pullNow(peerOf(b))
  await b.sync.pullNow(peerOf(a))
}

test('who hands over is an operator no longer, and who leaves has left: everybody agrees, newcomers too', async (t) => {
  const [alice, bob, carol] = (await startFederation(t, ['bob', 'carol'])) as [
    RegistryNode,
    RegistryNode,
    RegistryNode,
  ]
  await bob.network.dial(carol.network.addresses())
  await alice.members.setRole(peerOf(bob), 'operator')
  await alice.registry.put('/tools/one', bytes('{"image":"one"}'))
  await eventually(() => bob.members.self().role === 'operator', 'bob is no operator')
  await eventually(() => same(alice, bob, carol), 'they never agreed')

  await alice.members.setRole(peerOf(alice), 'member')
  const listed = () => bob.registry.list(`/departures/${peerOf(alice)}/`).length > 0
  await eventually(listed, 'nobody lists what the founder wrote as an operator')
  await eventually(() => same(alice, bob, carol), 'the hand-over splits the members')
  const roles = (node: RegistryNode) => [alice, bob, carol].map((one) => node.members.role(peerOf(one)))
  for (const node of [alice, bob, carol]) assert.deepEqual(roles(node), ['member', 'operator', 'member'])

  // And back, and then the founder leaves for good.
  await bob.members.setRole(peerOf(alice), 'operator')
  await eventually(() => alice.members.self().role === 'operator', 'alice is no operator again')
  await alice.members.remove(peerOf(alice), 'it left')
  await eventually(() => bob.members.wasRemoved(peerOf(alice)), 'bob did not hear of it')
  const whole = () =>
    bob.admission.departures.isListed(peerOf(alice), { role: undefined, version: 1, isSucceeded: false })
  await eventually(whole, 'nobody lists what the leaver wrote')
  const dave = await newcomer(t, bob, 'dave')
  await eventually(() => same(bob, carol, dave), 'a newcomer holds something else')
  assert.equal(dave.members.isMember(peerOf(alice)), false)
  assert.equal(Buffer.from(dave.registry.get('/tools/one')?.value ?? []).toString(), '{"image":"one"}')
})

test('what a member wrote stays when it becomes an observer, for newcomers too', async (t) => {
  const [alice, bob] = (await startFederation(t, ['bob'])) as [RegistryNode, RegistryNode]
  await bob.registry.put('/tools/one', bytes('{"image":"one"}'))
  await eventually(() => same(alice, bob), 'they never agreed')
  await alice.members.setRole(peerOf(bob), 'observer')
  const dave = await newcomer(t, alice, 'dave')
  await eventually(() => same(alice, bob, dave), 'a newcomer holds something else')
  assert.equal(Buffer.from(dave.registry.get('/tools/one')?.value ?? []).toString(), '{"image":"one"}')
})

test('two operators that remove each other apart: both halves come to the same once they meet', async (t) => {
  const [alice, bob, carol, dave] = (await startFederation(t, ['bob', 'carol', 'dave'])) as [
    RegistryNode,
    RegistryNode,
    RegistryNode,
    RegistryNode,
  ]
  await alice.members.setRole(peerOf(bob), 'operator')
  await eventually(() => same(alice, bob, carol, dave), 'they never agreed')
  await bob.network.dial(dave.network.addresses())
  for (const one of [bob, dave]) await one.network.hangUp(peerOf(alice))
  await alice.members.remove(peerOf(bob), 'a')
  await bob.members.remove(peerOf(alice), 'b')
  await eventually(() => carol.members.wasRemoved(peerOf(bob)), 'carol did not hear of it')
  await eventually(() => dave.members.wasRemoved(peerOf(alice)), 'dave did not hear of it')

  await meet(carol, dave)
  const settled = () =>
    [alice, carol, dave].every(
      ({ members }) => members.role(peerOf(alice)) === 'operator' && members.wasRemoved(peerOf(bob)),
    )
  await eventually(settled, 'the halves stay apart')
  await alice.network.dial(dave.network.addresses())
  await eventually(() => same(alice, carol, dave), 'the halves hold different records')
  assert.ok(bob.members.wasRemoved(peerOf(bob)) || bob.network.connectedPeers().length === 0)
})

test('an operator that leaves has another one write it, or is told that nobody has heard it', async (t) => {
  const alice = await startTestNode(t, 'alice')
  const bob = await startTestNode(t, 'bob')
  await alice.createFederation({ name: 'observatory' })
  await bob.join((await alice.invite()).token)
  await alice.federation.members.setRole(bob.peerId, 'operator')
  await eventually(() => bob.federation.members.self().role === 'operator', 'bob is no operator')
  const { config } = bob
  await bob.stop()
  await assert.rejects(alice.entrance.leave(), { code: 'PEER_UNREACHABLE', message: /--force/ })
  assert.equal(alice.federation.members.self().role, 'operator')

  const again = new Node({ config, log: silentLogger })
  t.after(() => again.stop())
  await again.start()
  await eventually(() => alice.connectedPeers().includes(again.peerId), 'bob never came back')
  await alice.entrance.leave({ reason: 'moving house' })
  assert.equal(again.federation.members.former(alice.peerId)?.reason, 'it left: moving house')
})
