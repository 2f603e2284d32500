import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { assembleCertificate } from '../../src/consensus/certificate.ts'
import { quorumOf } from '../../src/consensus/quorum.ts'
import { closingOf, closingSchema, openingSchema, parseValue } from '../../src/consensus/records.ts'
import { confirmationKey, formatRoundId } from '../../src/consensus/round-id.ts'
import { truthProof } from '../../src/consensus/truth-proof.ts'
import { votersOn } from '../../src/datasets/access.ts'
import { successionOf } from '../../src/federation/successions.ts'
import { generateIdentity } from '../../src/identity/node-key.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { eventually } from '../support/eventually.ts'
import { sealRecord } from '../support/records.ts'
import { type RegistryNode, startFederation, startRegistryNode } from '../support/registry-node.ts'

const same = (...nodes: RegistryNode[]) => new Set(nodes.map((node) => node.registry.digest())).size === 1
const peerOf = (node: RegistryNode) => node.identity.peerId

function prove({ policy, registry, members, admission }: RegistryNode): void {
  policy.prove(
    '/truth/',
    truthProof(registry, () => votersOn(undefined, members.list()), admission.past),
  )
}

async function newcomer(t: TestContext, by: RegistryNode, name: string): Promise<RegistryNode> {
  const node = await startRegistryNode(t, { genesis: by.genesis })
  prove(node)
  await by.members.admit(peerOf(node), name, 'member')
  await node.network.dial(by.network.addresses())
  await node.sync.pullNow(peerOf(by))
  return node
}

/** Of one round that all of `electorate` were asked in, signed by `signers`. */
async function certificateOf(electorate: RegistryNode[], signers: RegistryNode[], dataset: string) {
  const now = Date.now()
  const [first] = electorate as [RegistryNode]
  const { federation } = first.genesis
  const commit = 'c'.repeat(40)
  const round = { dataset, step: 'x', slot: now }
  const peers = electorate.map(peerOf).sort()
  const times = { openedMs: now, cutoffMs: now + 60_000, votesUntilMs: now + 120_000 }
  const quorum = { ballots: quorumOf(peers.length), votes: quorumOf(peers.length) }
  const method = { name: 'identical' }
  const asked = { method, trigger: 'request', quorum, parent: null, height: 1, openedBy: peers[0] }
  const opening = parseValue(openingSchema, encodeJson({ electorate: peers, ...asked, ...times }))
  assert.ok(opening)
  const ballots = new Map(peers.map((peer) => [peer, { commit, tree: commit }]))
  const closing = parseValue(closingSchema, encodeJson(closingOf(opening.hash, ballots)))
  assert.ok(closing)
  const confirmations = new Map<string, Uint8Array>()
  for (const { identity } of signers) {
    const key = confirmationKey(formatRoundId(round), identity.peerId)
    const value = encodeJson({ closing: closing.hash, commit, view: now })
    confirmations.set(identity.peerId, (await sealRecord(identity, { federation, key, value })).envelope)
  }
  return assembleCertificate({ round, opening, closing, commit, view: now, confirmations })
}

test('a certificate holds for newcomers although its signers were removed, made observers, or have new keys', async (t) => {
  const nodes = await startFederation(t, ['bob', 'carol', 'dave'])
  const [alice, bob, carol, dave] = nodes as [RegistryNode, RegistryNode, RegistryNode, RegistryNode]
  for (const node of nodes) prove(node)
  await eventually(() => nodes.every(({ members }) => members.list().length === 4), 'they never met')
  await bob.registry.put('/truth/data', await certificateOf(nodes, nodes, 'data'))
  await eventually(() => alice.registry.knows('/truth/data'), 'alice has no truth')
  const { federation } = alice.genesis

  await alice.members.setRole(peerOf(bob), 'observer')
  await alice.members.remove(peerOf(carol), 'gone')
  const next = await generateIdentity()
  const key = `/successions/${peerOf(dave)}`
  const said = await sealRecord(dave.identity, {
    ...{ federation, key, value: successionOf(federation, peerOf(dave), next) },
  })
  assert.equal((await alice.registry.receive(said.envelope)).action, 'accept')
  assert.ok(alice.members.isMember(next.peerId))
  const erin = await newcomer(t, alice, 'erin')
  await eventually(() => erin.registry.knows('/truth/data'), 'a newcomer has no truth')

  // Whoever votes no more has no say in what nobody held when it did.
  const forged = await certificateOf([alice, bob, carol], [alice, bob, carol], 'forged')
  const sealed = await sealRecord(erin.identity, { federation, key: '/truth/forged', value: forged })
  assert.equal((await alice.registry.receive(sealed.envelope)).action, 'ignore')

  // And who is back among those who vote was no voter in between.
  await alice.members.remove(next.peerId)
  await alice.registry.put('/truth/narrow', await certificateOf([alice, erin], [alice, erin], 'narrow'))
  await alice.members.setRole(peerOf(bob), 'member')
  const fred = await newcomer(t, alice, 'fred')
  const holdsBoth = () => fred.registry.knows('/truth/narrow') && fred.registry.knows('/truth/data')
  await eventually(holdsBoth, 'fred lacks a truth')
  await eventually(() => same(alice, erin, fred), 'they hold different records')
})
