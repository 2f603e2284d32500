import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { type RegistryNode, startFederation, startRegistryNode } from '../support/registry-node.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const shown = ({ registry }: RegistryNode) =>
  registry.list('/').map(({ key, author, value }) => [key, author, Buffer.from(value).toString()])

test('both sides of a partition write, claim the same names and delete; healed, all are in one state', async (t) => {
  const [alice, ann, bob, ben] = await startFederation(t, ['ann', 'bob', 'ben'])
  assert(alice && ann && bob && ben)
  const all = [alice, ann, bob, ben]
  const alike = () => all.every((node) => node.registry.digest() === alice.registry.digest())
  await ben.network.dial(bob.network.addresses())
  for (let n = 0; n < 20; n += 1) await alice.registry.put(`/tools/old-${n}`, bytes('old'))
  for (let n = 0; n < 20; n += 1) await bob.registry.put(`/tools/of-bob-${n}`, bytes('old'))
  await eventually(alike, 'they never began in one state')

  for (const node of [bob, ben]) await alice.network.hangUp(node.identity.peerId)
  await eventually(
    () => alice.network.connectedPeers().length === 1 && bob.network.connectedPeers().length === 1,
    'the sides are still connected',
  )
  await Promise.all(
    all.map(async (node, side) => {
      for (let n = 0; n < 25; n += 1) {
        await node.registry.put(`/tools/new-${side}-${n}`, bytes(`of ${side}`))
        // All four claim the same names, and go on to change them.
        await node.registry.put(`/tools/contested-${n % 5}`, bytes(`${n} of ${side}`))
        await node.registry.put(`/heads/data/${node.identity.peerId}`, bytes(`${n}`))
      }
    }),
  )
  // An operator buries what the others still change; an author deletes what the operator changes.
  for (let n = 0; n < 10; n += 1) {
    await alice.registry.delete(`/tools/of-bob-${n}`)
    await bob.registry.put(`/tools/of-bob-${n}`, bytes('changed behind the cut'))
    await bob.registry.delete(`/tools/of-bob-${n + 10}`)
    await alice.registry.put(`/tools/of-bob-${n + 10}`, bytes('changed behind the cut'))
    await ben.registry.put(`/tools/old-${n}`, bytes('claimed behind the cut'))
    await alice.registry.delete(`/tools/old-${n}`)
  }
  assert(!alike())

  await bob.network.dial(alice.network.addresses())
  await eventually(alike, 'they never agreed')
  for (const node of all) assert.deepEqual(shown(node), shown(alice))
  for (let n = 0; n < 5; n += 1) {
    const contested = ben.registry.get(`/tools/contested-${n}`)
    assert.equal(contested?.author, alice.identity.peerId, 'the operator’s claim is shown')
    assert.equal(ben.registry.claims(`/tools/contested-${n}`).length, 4)
  }
  assert.equal(ben.registry.list('/tools/new-').length, 100)
  assert.equal(alice.registry.list('/heads/data/').length, 4)
})

test('a member that was away while others wrote, deleted and came and went is complete again with no new write', async (t) => {
  const [alice, bob, carol] = await startFederation(t, ['bob', 'carol'])
  assert(alice && bob && carol)
  await alice.registry.put('/tools/gone', bytes('x'))
  await eventually(() => bob.registry.digest() === alice.registry.digest(), 'bob never caught up')
  await bob.stop()
  for (let n = 0; n < 100; n += 1) {
    await alice.registry.put(`/tools/of-alice-${n}`, bytes(`value ${n}`))
    await carol.registry.put(`/tools/of-carol-${n}`, bytes(`value ${n}`))
  }
  await alice.registry.delete('/tools/gone')
  await eventually(() => carol.registry.digest() === alice.registry.digest(), 'carol never caught up')
  await carol.stop()
  const before = { digest: alice.registry.digest(), revision: alice.registry.revision }

  // Without gossip at all, and while one of the authors is away himself.
  const again = await startRegistryNode(t, {
    genesis: alice.genesis,
    directory: bob.directory,
    gossip: false,
  })
  assert(again.registry.get('/tools/gone'))
  await again.network.dial(alice.network.addresses())
  await eventually(() => again.registry.digest() === before.digest, 'bob is not complete')
  assert.equal(again.registry.list('/tools/of-').length, 200)
  assert.equal(again.registry.get('/tools/gone'), undefined)
  assert.equal(alice.registry.revision, before.revision, 'somebody wrote')
})
