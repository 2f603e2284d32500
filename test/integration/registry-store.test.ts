import assert from 'node:assert/strict'
import { test } from 'node:test'
import { versionMax } from '../../src/base/limits.ts'
import { eventually } from '../support/eventually.ts'
import { sealRecord } from '../support/records.ts'
import { startFederation, startRegistryNode } from '../support/registry-node.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

test('a version at the end of the scale keeps nobody from writing, nor from starting again', async (t) => {
  const [alice, mallory] = await startFederation(t, ['mallory'])
  assert(alice && mallory)
  const { federation } = alice.genesis
  for (const version of [versionMax, Number.MAX_SAFE_INTEGER]) {
    const record = await sealRecord(mallory.identity, { federation, key: '/tools/x', version })
    await alice.registry.receive(record.envelope)
  }
  await alice.registry.put('/tools/x', bytes('of alice'))
  assert.equal(alice.registry.get('/tools/x')?.author, alice.identity.peerId)
  await alice.stop()
  const again = await startRegistryNode(t, { genesis: alice.genesis, directory: alice.directory })
  assert.equal(again.registry.get('/tools/x')?.author, alice.identity.peerId)
})

test('revisions go on after a restart, never back', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  await alice.registry.put('/tools/short', bytes('x'), { expiresMs: Date.now() + 300 })
  await alice.registry.put('/tools/long', bytes('x'))
  await eventually(() => alice.registry.get('/tools/short') === undefined, 'the record never expired')
  const { revision } = alice.registry
  await alice.stop()
  const again = await startRegistryNode(t, { genesis: alice.genesis, directory: alice.directory })
  assert(again.registry.revision >= revision, `${again.registry.revision} after ${revision}`)
})

test('records of an earlier federation have no say in the next one', async (t) => {
  const [alice, bob] = await startFederation(t, ['bob'])
  const [carol] = await startFederation(t, [])
  assert(alice && bob && carol)
  await bob.stop()
  const moved = await startRegistryNode(t, { genesis: carol.genesis, directory: bob.directory })
  assert.deepEqual(
    moved.members.list().map((member) => member.peer),
    [carol.identity.peerId],
  )
})

test('two newcomers who are admitted at once get two names', async (t) => {
  const [alice] = await startFederation(t, [])
  assert(alice)
  const others = [await startRegistryNode(t), await startRegistryNode(t)]
  await Promise.all(others.map((node) => alice.members.admit(node.identity.peerId, 'bob', 'member')))
  assert.deepEqual(
    alice.members.list().map((member) => member.name),
    ['alice', 'bob', 'bob-2'],
  )
})
