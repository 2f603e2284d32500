import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { encode } from '@ipld/dag-cbor'
import { systemClock } from '../../src/base/clock.ts'
import { requestsPerSourceMax } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { createGenesis, type Genesis } from '../../src/federation/genesis.ts'
import { decodeInvitation, encodeInvitation } from '../../src/federation/invitations.ts'
import { type Answer, QUESTION_PROTOCOL } from '../../src/federation/questions.ts'
import { Requests } from '../../src/federation/requests.ts'
import { generateIdentity } from '../../src/identity/node-key.ts'
import { Frames } from '../../src/network/frames.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { eventually } from '../support/eventually.ts'
import { startLoopbackNetwork } from '../support/loopback-network.ts'
import { startTestNode } from '../support/quiet-node.ts'
import { type RegistryNode, startFederation } from '../support/registry-node.ts'

/** Whoever asks there reads `answer`, whatever was asked. */
async function liar(t: TestContext, answer: Answer): Promise<string[]> {
  const network = await startLoopbackNetwork(t)
  await network.handle(QUESTION_PROTOCOL, async (stream) => {
    const frames = new Frames(stream)
    await frames.read()
    await frames.write(encode(answer))
    await stream.closeWrite()
  })
  return network.addresses()
}

async function foreignGenesis(isPrivate = false): Promise<Genesis> {
  const wanted = { name: 'observatory', description: '', founderName: 'alice', createdMs: 1 }
  return createGenesis({ ...wanted, policy: { private: isPrivate } }, await generateIdentity())
}

test('liars that say "admitted" or "denied" end nobody\'s request: the admission has to show, a no is asked of others too', async (t) => {
  const [alice, carol, dave] = await Promise.all(['alice', 'carol', 'dave'].map((n) => startTestNode(t, n)))
  assert(alice && carol && dave)
  const policy = { join: 'request' as const }
  const { federation, envelope } = await alice.createFederation({ name: 'observatory', policy })

  // The genesis is no secret: every listing has it.
  const admitting = await liar(t, { kind: 'admitted', genesis: envelope, name: 'carol' })
  const told = await carol.entrance.request({ federation, addresses: admitting })
  assert.deepEqual([told?.state, carol.hasFederation], ['asking', false])
  assert.match(String(told?.reason), /nothing to show/)
  await carol.entrance.withdraw()

  const hidden = await foreignGenesis(true)
  const other = await liar(t, { kind: 'admitted', genesis: hidden.envelope, name: 'carol' })
  assert.match(String((await carol.entrance.request({ addresses: other }))?.reason), /private/)
  await carol.entrance.withdraw()

  const denying = await liar(t, { kind: 'denied', federation, name: 'observatory', reason: 'go away' })
  const asked = await carol.entrance.request({ federation, addresses: [...denying, ...alice.addresses()] })
  assert.equal(asked?.state, 'pending')
  // Where nobody says otherwise it is believed, and asked again, at the next start too.
  const elsewhere = await liar(t, { kind: 'denied', federation: 'another', name: 'other', reason: 'go away' })
  assert.equal((await dave.entrance.request({ federation, addresses: elsewhere }))?.state, 'asking')

  // Taken back, it is gone at the operator's too, and nobody is admitted who does not know of it.
  const { requests } = alice.federation.membership
  assert.equal(requests.list().length, 1)
  await carol.entrance.withdraw()
  assert.equal(requests.list().length, 0)
  await assert.rejects(requests.approve('carol'), { code: 'REQUEST_NOT_FOUND' })
})

function requestsOf(
  { genesis, registry, members, identity }: RegistryNode,
  join: 'request' | 'open',
): Requests {
  const policy = { join, newcomers: 'member' as const, operatorsNeeded: 1, contacts: [] }
  return new Requests({
    ...{ genesis, registry, members, self: identity.peerId, clock: systemClock, log: silentLogger },
    policy: () => policy,
    sourceOf: () => '10.0.0.1',
    addresses: () => [],
  })
}

test('a member neither denies for operators nor lets a crowd of its own through an open door', async (t) => {
  const [alice, carol] = await startFederation(t, ['carol'])
  assert(alice && carol)
  const atAlice = requestsOf(alice, 'request')
  const pete = (await generateIdentity()).peerId
  const question = { kind: 'request' as const, name: 'pete', message: '', contact: 'pete@uni.example' }
  assert.equal((await requestsOf(carol, 'request').answer(pete, question)).kind, 'pending')
  await eventually(() => atAlice.list().length === 1, 'alice never heard of pete')
  const now = Date.now()
  const denial = { name: 'pete', message: '', contact: 'carol@evil.example', askedMs: now }
  const value = encodeJson({ ...denial, denied: { reason: 'no', atMs: now } })
  await carol.registry.put(`/requests/${pete}`, value, { expiresMs: now + 1e6 })
  await eventually(() => atAlice.list()[0]?.contact === 'carol@evil.example', 'alice never heard of it')
  assert.equal((await atAlice.answer(pete, question)).kind, 'pending')
  await atAlice.deny('pete', 'we are full')
  assert.equal((await atAlice.answer(pete, question)).kind, 'denied')

  for (let count = 0; count < 3 * requestsPerSourceMax; count += 1) {
    const key = `/requests/${(await generateIdentity()).peerId}`
    const sybil = encodeJson({ name: 'sybil', message: '', contact: '', askedMs: now })
    await carol.registry.put(key, sybil, { expiresMs: now + 1e6 })
  }
  await eventually(() => atAlice.list().length > 3 * requestsPerSourceMax, 'alice never heard of the crowd')
  const open = requestsOf(alice, 'open')
  await open.start()
  await eventually(() => alice.members.list().length >= 2 + requestsPerSourceMax, 'nobody was admitted')
  await open.stop()
  assert.equal(alice.members.list().length, 2 + requestsPerSourceMax)
})

test('an invitation opens the federation that it was made for and no later one; an open federation lets in observers', async (t) => {
  const [alice, eve] = await Promise.all(['alice', 'eve'].map((n) => startTestNode(t, n)))
  assert(alice && eve)
  await alice.createFederation({ name: 'one' })
  const token = (await alice.invite()).token
  assert.equal(decodeInvitation(` ${token}\n`, Date.now()).name, 'one')
  // As a node does that ends between forgetting its federation and forgetting its invitations.
  const book = alice.federation.membership.invitations
  await alice.entrance.leave()
  const { lifeMs, ...old } = { ...decodeInvitation(token, Date.now()), lifeMs: 60_000 }
  await book.bind('one')
  const kept = await book.issue({ lifeMs })
  await assert.rejects(alice.createFederation({ name: 'two', policy: { join: 'open', private: true } }), {
    code: 'INVALID_INPUT',
    message: /private/,
  })
  const { federation, policy } = await alice.createFederation({ name: 'two', policy: { join: 'open' } })
  assert.equal(policy.newcomers, 'observer')
  const forged = encodeInvitation({ ...old, federation, secret: kept.secret, addresses: alice.addresses() })
  await assert.rejects(eve.join(forged), { code: 'INVITATION_INVALID' })
  for (const garbage of [
    '',
    'mao1-',
    'mao1-xyz',
    encodeInvitation({ ...old, addresses: ['/ip4/1.2.3.4/tcp/1'] }),
  ])
    assert.throws(() => decodeInvitation(garbage, Date.now()), { code: 'INVITATION_INVALID' })
})
