import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLogger } from '../../src/base/logger.ts'
import { decodeInvitation } from '../../src/federation/invitations.ts'
import { requestAdmission } from '../../src/federation/join.ts'
import { loadIdentity } from '../../src/identity/node-key.ts'
import { Node } from '../../src/node.ts'
import { eventually } from '../support/eventually.ts'
import { startLoopbackNetwork } from '../support/loopback-network.ts'
import { startTestNode, testConfig } from '../support/quiet-node.ts'

test('a newcomer joins with an invitation and soon everybody knows everybody', async (t) => {
  const [alice, bob, carol] = await Promise.all(
    ['alice', 'bob', 'carol'].map((name) => startTestNode(t, name)),
  )
  assert(alice && bob && carol)
  const genesis = await alice.createFederation({ name: 'observatory', description: 'artefacts' })
  for (const node of [bob, carol]) {
    const joined = await node.join((await alice.invite()).token)
    assert.equal(joined.federation, genesis.federation)
  }
  for (const node of [alice, bob, carol]) {
    const names = () => node.federation.members.list().map((member) => `${member.name} ${member.role}`)
    const complete = () => names().join() === 'alice operator,bob member,carol member'
    await eventually(complete, `${node.name} sees ${names().join()}`)
  }
  // Bob and carol were told of each other by the registry alone.
  await eventually(() => bob.connectedPeers().includes(carol.peerId), 'bob never connected to carol')
})

test('an invitation admits one node, once; its own node may ask again', async (t) => {
  const [alice, bob, carol] = await Promise.all(
    ['alice', 'bob', 'carol'].map((name) => startTestNode(t, name)),
  )
  assert(alice && bob && carol)
  await alice.createFederation({ name: 'observatory' })
  const { token } = await alice.invite()
  await bob.join(token)
  await assert.rejects(carol.join(token), { code: 'INVITATION_USED' })
  assert.equal(carol.hasFederation, false)
  await assert.rejects(bob.join(token), { code: 'ALREADY_FEDERATED' })
})

test('a member that was removed does not come back with its old invitation', async (t) => {
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((name) => startTestNode(t, name)))
  assert(alice && bob)
  await alice.createFederation({ name: 'observatory' })
  const { token } = await alice.invite()
  await bob.join(token)
  const { peerId, config } = bob
  await alice.federation.members.remove(peerId, 'gone')
  const invitation = decodeInvitation(token, Date.now())
  const identity = await loadIdentity(config.dataDirectory)
  await bob.stop()
  const network = await startLoopbackNetwork(t, { identity })
  // It is not even let in for a while; when it is, its invitation is used.
  await assert.rejects(requestAdmission(network, invitation, 'bob'), { code: 'PEER_UNREACHABLE' })
  const redeemed = alice.federation.membership.invitations.redeem(invitation.secret, peerId, true)
  await assert.rejects(redeemed, { code: 'INVITATION_USED' })
  assert.equal(alice.federation.members.isMember(peerId), false)
})

test('an invitation expires by the clock of either side', async (t) => {
  let ahead = 0
  const clock = { now: () => Date.now() + ahead }
  const alice = await startTestNode(t, 'alice', { clock })
  const bob = await startTestNode(t, 'bob')
  await alice.createFederation({ name: 'observatory' })
  const { token } = await alice.invite({ lifeMs: 60_000 })
  ahead = 61_000
  await assert.rejects(bob.join(token), { code: 'INVITATION_EXPIRED' })
  const late = await startTestNode(t, 'late', { clock })
  await assert.rejects(late.join(token), { code: 'INVITATION_EXPIRED' })
})

test('a token that is no invitation, or points nowhere, is refused with a way out', async (t) => {
  const bob = await startTestNode(t, 'bob')
  for (const token of ['', 'hello', 'mao1-', 'mao1-e30']) {
    await assert.rejects(bob.join(token), { code: 'INVITATION_INVALID' })
  }
  const alice = await startTestNode(t, 'alice')
  await alice.createFederation({ name: 'observatory' })
  const { token } = await alice.invite()
  await alice.stop()
  await assert.rejects(bob.join(token), { code: 'PEER_UNREACHABLE' })
  assert.equal(bob.hasFederation, false)
})

test('only operators invite, and a node in no federation says what to type', async (t) => {
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((name) => startTestNode(t, name)))
  assert(alice && bob)
  await assert.rejects(alice.invite(), { code: 'NO_FEDERATION', message: /federation create/ })
  await alice.createFederation({ name: 'observatory' })
  const { token, warning } = await alice.invite()
  assert.match(String(warning), /--listen/)
  await bob.join(token)
  await assert.rejects(bob.invite(), { code: 'NOT_OPERATOR', message: /alice/ })
  await assert.rejects(alice.createFederation({ name: 'other' }), { code: 'ALREADY_FEDERATED' })
})

test('two nodes of one name are told apart', async (t) => {
  const alice = await startTestNode(t, 'lab')
  const others = [await startTestNode(t, 'lab'), await startTestNode(t, 'lab')]
  await alice.createFederation({ name: 'observatory' })
  for (const node of others) await node.join((await alice.invite()).token)
  assert.deepEqual(
    others.map((node) => node.name),
    ['lab-2', 'lab-3'],
  )
})

test('a node that was stopped is in its federation again after a start, and finds the others', async (t) => {
  const alice = await startTestNode(t, 'alice')
  const bob = await startTestNode(t, 'bob')
  await alice.createFederation({ name: 'observatory' })
  await bob.join((await alice.invite()).token)
  const { peerId, config } = bob
  await bob.stop()
  await alice.federation.registry.put('/tools/while-away', new TextEncoder().encode('{}'))

  const again = new Node({ config, log: silentLogger })
  t.after(() => again.stop())
  await again.start()
  assert.equal(again.peerId, peerId)
  const caughtUp = () => again.federation.registry.get('/tools/while-away') !== undefined
  await eventually(caughtUp, 'the write of the meantime never arrived')
})

test('a second node on one data directory is refused, and the first goes on', async (t) => {
  const alice = await startTestNode(t, 'alice')
  const config = await testConfig('intruder', alice.config.dataDirectory)
  const second = new Node({ config, log: silentLogger })
  await assert.rejects(second.start(), { code: 'DATA_IN_USE', message: /--data/ })
  await alice.createFederation({ name: 'still-here' })
})

test('start and stop may come twice', async (t) => {
  const alice = await startTestNode(t, 'alice')
  await alice.start()
  await alice.createFederation({ name: 'observatory' })
  await alice.stop()
  await alice.stop()
  await alice.start()
  assert.equal(alice.federation.genesis.name, 'observatory')
})
