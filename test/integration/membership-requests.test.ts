import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { silentLogger } from '../../src/base/logger.ts'
import { Node } from '../../src/node.ts'
import { eventually } from '../support/eventually.ts'
import { startTestNode } from '../support/quiet-node.ts'

async function nodes(t: TestContext, ...names: string[]): Promise<Node[]> {
  return Promise.all(names.map((name) => startTestNode(t, name)))
}

/** Two nodes of different federations may meet anywhere; here one asks for what the other is not. */
async function meet(one: Node, other: Node): Promise<void> {
  const asked = await one.entrance.request({ federation: 'another', addresses: other.addresses() })
  assert.match(String(asked?.reason), /not to the federation asked for/)
  await one.entrance.withdraw()
}

test('a stranger asks a member, an operator approves, and the stranger comes in by itself', async (t) => {
  const [alice, bob, carol] = await nodes(t, 'alice', 'bob', 'carol')
  assert(alice && bob && carol)
  const { federation } = await alice.createFederation({ name: 'observatory', policy: { join: 'request' } })
  await bob.join((await alice.invite()).token)
  await eventually(() => bob.federation.members.isMember(bob.peerId), 'bob never heard of its admission')

  // Carol asks bob, who is no operator; alice sees it all the same.
  const wish = {
    federation,
    addresses: bob.addresses(),
    message: 'we collect too',
    contact: 'carol@lab.example',
  }
  const asked = await carol.entrance.request(wish)
  assert.equal(asked?.state, 'pending')
  assert.equal(asked.federationName, 'observatory')
  await assert.rejects(carol.entrance.request(wish), { code: 'REQUEST_PENDING', message: /--withdraw/ })
  const { requests } = alice.federation.membership
  await eventually(() => requests.list().length === 1, 'the operator never saw the request')
  assert.partialDeepStrictEqual(requests.list()[0], {
    name: 'carol',
    message: 'we collect too',
    by: bob.peerId,
  })
  await assert.rejects(bob.federation.membership.requests.approve('carol'), {
    code: 'NOT_OPERATOR',
    message: /alice/,
  })

  // It is remembered over a restart, and answered by whoever is there, bob or not.
  const { config } = carol
  await carol.stop()
  await bob.stop()
  await requests.approve('carol', { role: 'observer' })
  assert.equal(requests.list().length, 0)
  const again = new Node({ config, log: silentLogger })
  t.after(() => again.stop())
  await again.start()
  await eventually(
    () => again.hasFederation && again.federation.members.isMember(again.peerId),
    'carol never came in',
  )
  assert.equal(again.federation.members.self().role, 'observer')
  assert.equal(again.entrance.petition, undefined)
})

test('a denial is heard with its reason, also from another member, and not asked again', async (t) => {
  const [alice, bob, carol] = await nodes(t, 'alice', 'bob', 'carol')
  assert(alice && bob && carol)
  await alice.createFederation({
    name: 'observatory',
    contacts: ['alice@lab.example'],
    policy: { join: 'request' },
  })
  await bob.join((await alice.invite()).token)
  await eventually(() => bob.federation.members.isMember(bob.peerId), 'bob never heard of its admission')
  assert.equal((await carol.entrance.request({ addresses: bob.addresses() }))?.state, 'pending')
  const { requests } = alice.federation.membership
  await eventually(() => requests.list().length === 1, 'the operator never saw the request')
  await assert.rejects(requests.deny('nobody'), { code: 'REQUEST_NOT_FOUND' })
  await requests.deny(carol.peerId, 'we are full')
  await carol.entrance.withdraw()
  // Alice said it; bob tells it.
  await eventually(
    () => bob.federation.membership.requests.list()[0]?.denied !== undefined,
    'bob never heard of it',
  )
  const told = await carol.entrance.request({ addresses: bob.addresses() })
  assert.deepEqual([told?.state, told?.reason], ['denied', 'we are full'])
  assert.equal(alice.federation.members.isMember(carol.peerId), false)
})

test('an open federation admits whoever asks, also by way of a member that is no operator', async (t) => {
  const [alice, bob, carol, dora] = await nodes(t, 'alice', 'bob', 'carol', 'dora')
  assert(alice && bob && carol && dora)
  const genesis = await alice.createFederation({
    name: 'market-square',
    policy: { join: 'open', newcomers: 'observer' },
  })
  // Whoever is near is asked when no address is named; whoever knows nobody is told what to say.
  await assert.rejects(bob.entrance.request({}), { code: 'INVALID_INPUT', message: /--address/ })
  await meet(bob, alice)
  assert.equal(await bob.entrance.request({ federation: genesis.federation }), undefined)
  assert.equal(bob.federation.members.self().role, 'observer')
  // An observer takes no requests, and says whom to ask; then it is made a member and takes one.
  const refused = await carol.entrance.request({ addresses: bob.addresses() })
  assert.deepEqual([refused?.state, /observes/.test(String(refused?.reason))], ['asking', true])
  await carol.entrance.withdraw()
  await alice.federation.members.setRole(bob.peerId, 'member')
  await eventually(() => bob.federation.members.self().role === 'member', 'bob never heard of its role')
  assert.equal((await carol.entrance.request({ addresses: bob.addresses() }))?.state, 'pending')
  await eventually(() => alice.federation.members.isMember(carol.peerId), 'nobody opened the door')
  // Whoever was removed does not come back through an open door.
  await dora.entrance.request({ addresses: alice.addresses() })
  await alice.federation.members.remove(dora.peerId, 'spam')
  await eventually(
    () => dora.federation.members.former(dora.peerId)?.reason === 'spam',
    'dora was not told why',
  )
  assert.throws(() => dora.federation.members.self(), { code: 'MEMBERSHIP_ENDED', message: /spam/ })
  await eventually(() => !alice.connectedPeers().includes(dora.peerId), 'the connection to dora stays')
  const question = { kind: 'request' as const, name: 'dora', message: 'sorry', contact: '' }
  const { requests } = alice.federation.membership
  assert.equal((await requests.answer(dora.peerId, question)).kind, 'pending')
  assert.equal(requests.list()[0]?.formerly, 'spam')
})

test('a federation by invitation alone says whom to ask; a founder needs no approval', async (t) => {
  const [alice, bob, carol] = await nodes(t, 'alice', 'bob', 'carol')
  assert(alice && bob && carol)
  await alice.createFederation({
    ...{ name: 'closed', contacts: ['alice@lab.example'] },
    founders: [{ peer: bob.peerId, name: 'bob' }],
    policy: { operatorsNeeded: 2 },
  })
  const refused = await carol.entrance.request({ addresses: alice.addresses() })
  assert.equal(refused?.state, 'refused')
  assert.match(String(refused?.reason), /alice@lab\.example/)
  assert.equal(await bob.entrance.request({ addresses: alice.addresses() }), undefined)
  assert.equal(bob.federation.members.self().role, 'operator')
  await bob.federation.membership.policies.propose({ join: 'request' })
  const { policies } = alice.federation.membership
  assert.equal(policies.state().sequence, 0)
  await eventually(() => policies.state().proposals.length === 1, 'alice never heard of the proposal')
  assert.equal((await policies.endorse()).sequence, 1)
  await eventually(
    () => bob.federation.membership.policies.state().policy.join === 'request',
    'bob never heard',
  )
  // Whoever takes the role of the other operator changes no more than before, nor with a peer of its own beside it.
  await alice.federation.members.setRole(bob.peerId, 'member')
  await policies.propose({ join: 'open', operatorsNeeded: 1 })
  assert.deepEqual([policies.state().sequence, policies.state().policy.operatorsNeeded], [1, 2])
})
