import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { encodeJson } from '../../src/registry/collection.ts'
import { eventually } from '../support/eventually.ts'
import { sealRecord } from '../support/records.ts'
import { type RegistryNode, startFederation, startRegistryNode } from '../support/registry-node.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const shows = (node: RegistryNode, key: string) => Buffer.from(node.registry.get(key)?.value ?? []).toString()
const same = (...nodes: RegistryNode[]) => new Set(nodes.map((node) => node.registry.digest())).size === 1

/** A newcomer that knows nothing but the genesis, admitted by `by`. */
async function newcomer(t: TestContext, by: RegistryNode, name: string): Promise<RegistryNode> {
  const node = await startRegistryNode(t, { genesis: by.genesis })
  await by.members.admit(node.identity.peerId, name, 'member')
  await node.network.dial(by.network.addresses())
  await node.sync.pullNow(by.identity.peerId)
  return node
}

test('what a member wrote stays when it is removed, and nothing that it writes afterwards gets in, dated back or not', async (t) => {
  const [alice, bob, carol] = (await startFederation(t, ['bob', 'carol'])) as [
    RegistryNode,
    RegistryNode,
    RegistryNode,
  ]
  const mallory = bob.identity.peerId
  await bob.registry.put('/tools/one', bytes('{"image":"one"}'))
  await bob.registry.put(`/presence/${mallory}`, bytes('{}'))
  await eventually(() => same(alice, bob, carol), 'the three never agreed')
  const written = Date.now()
  // Carol hears of nothing for a while; bob writes something that only she gets, before she hears that he is out.
  await carol.network.hangUp(alice.identity.peerId)
  const { federation } = alice.genesis
  const unheard = await sealRecord(bob.identity, { federation, key: '/tools/late', time: written })
  assert.equal((await carol.registry.receive(unheard.envelope)).action, 'accept')

  await alice.members.remove(mallory, 'it lied')
  assert.equal(shows(alice, '/tools/one'), '{"image":"one"}')
  await eventually(() => shows(alice, `/presence/${mallory}`) === '', 'who left is still shown as there')
  await carol.network.dial(alice.network.addresses())
  await carol.sync.pullNow(alice.identity.peerId)
  await eventually(() => same(alice, carol), 'alice and carol hold different records')
  assert.equal(shows(carol, '/tools/late'), '', 'what was not listed goes where it was')

  const attempts = [
    { key: '/tools/two', version: 1, time: written },
    { key: '/tools/one', version: 9, time: written },
    { key: `/members/${mallory}`, version: 99, value: encodeJson({ name: 'bob', role: 'operator' }) },
    { key: `/heads/packages/${mallory}`, version: 1, time: written - 1_000 },
    { key: `/successions/${mallory}`, version: 1, time: written },
  ]
  for (const node of [alice, carol]) {
    const held = node.registry.index.size
    for (const attempt of attempts) {
      const forged = await sealRecord(bob.identity, { federation, ...attempt })
      const verdict = await node.registry.receive(forged.envelope)
      assert.deepEqual(
        [verdict.action, 'code' in verdict && verdict.code],
        ['ignore', 'NOT_ALLOWED'],
        attempt.key,
      )
    }
    assert.equal(node.registry.index.size, held)
  }
  // Whoever comes later gets what stays, from anybody, and nothing else.
  const dave = await newcomer(t, alice, 'dave')
  await eventually(() => same(alice, carol, dave), 'a newcomer does not get what stays')
  assert.equal(shows(dave, '/tools/one'), '{"image":"one"}')
})

test("an operator's admissions outlive its removal and its demotion, those that come later do not count", async (t) => {
  const [alice, bob] = (await startFederation(t, ['bob'])) as [RegistryNode, RegistryNode]
  const { federation } = alice.genesis
  await alice.members.setRole(bob.identity.peerId, 'operator')
  await eventually(() => bob.members.self().role === 'operator', 'bob is no operator')
  const carol = await newcomer(t, bob, 'carol')
  await eventually(() => alice.members.isMember(carol.identity.peerId), 'carol is not known to alice')

  await alice.members.setRole(bob.identity.peerId, 'member')
  await eventually(() => carol.members.role(bob.identity.peerId) === 'member', 'carol does not know of it')
  const dave = await newcomer(t, alice, 'dave')
  await eventually(() => dave.members.isMember(carol.identity.peerId), 'a newcomer does not know carol')

  await alice.members.remove(bob.identity.peerId)
  await eventually(() => same(alice, carol, dave), 'they hold different records')
  for (const node of [alice, carol, dave])
    assert.equal(node.members.get(carol.identity.peerId)?.name, 'carol')
  const key = '/members/12D3KooWPuppetPuppetPuppetPuppetPuppetPuppetPuppet'
  const value = encodeJson({ name: 'puppet', role: 'member' })
  const later = await sealRecord(bob.identity, { federation, key, value, time: Date.now() - 3_600_000 })
  assert.equal((await dave.registry.receive(later.envelope)).action, 'ignore')
  const erin = await newcomer(t, alice, 'erin')
  await eventually(() => same(alice, erin), 'erin holds something else')
  assert.deepEqual(
    erin.members.list().map(({ name }) => name),
    ['alice', 'carol', 'dave', 'erin'],
  )
})

test('a membership that ends by itself is listed by an operator, and the member may come back', async (t) => {
  const [alice, bob] = (await startFederation(t, ['bob'])) as [RegistryNode, RegistryNode]
  const peer = bob.identity.peerId
  await bob.registry.put('/tools/one', bytes('{}'))
  await eventually(() => same(alice, bob), 'the two never agreed')
  await alice.members.setRole(peer, 'member', { until: Date.now() + 300 })
  const isListed = () => alice.registry.list('/departures/').length > 0
  await eventually(isListed, 'nobody lists what stays')
  assert.equal(shows(alice, '/tools/one'), '{}')
  await alice.members.admit(peer, 'bob', 'member')
  await bob.network.dial(alice.network.addresses())
  await eventually(() => bob.members.isMember(peer), 'bob does not hear that he is back')
  await bob.registry.put('/tools/two', bytes('{}'))
  await eventually(() => same(alice, bob), 'the two never agreed again')
  assert.equal(shows(alice, '/tools/two'), '{}')
})

test('a stranger may say what it likes: nothing of it is kept, and the store does not grow', async (t) => {
  const [alice] = (await startFederation(t, [])) as [RegistryNode]
  const stranger = await startRegistryNode(t)
  const { federation } = alice.genesis
  const rows = async () => (await alice.database.keys().all()).length
  const [held, before] = [alice.registry.index.size, await rows()]
  for (let n = 0; n < 500; n += 1) {
    const { envelope } = await sealRecord(stranger.identity, { federation, key: `/tools/of-a-stranger-${n}` })
    const verdict = await alice.registry.receive(envelope)
    assert.deepEqual([verdict.action, 'code' in verdict && verdict.code], ['ignore', 'UNKNOWN_AUTHOR'])
  }
  assert.equal(alice.registry.index.size, held)
  assert.equal(await rows(), before)
})
