import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Certificate, valueHash } from '../../src/consensus/records.ts'
import {
  ballotKey,
  closingKey,
  confirmationKey,
  openingKey,
  truthKey,
  voteKey,
} from '../../src/consensus/round-id.ts'
import type { RoundView } from '../../src/consensus/views.ts'
import { decodeJson, encodeJson } from '../../src/registry/collection.ts'
import { type ConsensusNode, commitResult, joinVoter, startVoters } from '../support/consensus-node.ts'
import { type DatasetNode, directoryOf, joinDatasetNode, meet } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { sealRecord } from '../support/records.ts'

const WAIT_MS = 60_000
const WINDOW_MS = 600_000
const FOUND = { 'measured.csv': 'a,1\nb,2\n' }
const LIE = { 'measured.csv': 'a,1\nb,20\n' }

/** Honest members, and dave, who holds what they hold and writes his records by hand; one clock for all. */
async function withDave(t: TestContext, names: readonly string[]) {
  let aheadMs = 0
  const clock = { now: () => Date.now() + aheadMs }
  const honest = await startVoters(t, names, { node: { clock } })
  const [alice] = honest as [ConsensusNode]
  const dave = await joinDatasetNode(t, alice, 'dave', { clock })
  for (const node of honest.slice(1)) await meet(dave, node)
  const nodes: DatasetNode[] = [...honest, dave]
  await alice.datasets.importDirectory('data', await directoryOf(t, { 'README.md': 'about this\n' }))
  const knows = ({ members, datasets }: DatasetNode) =>
    members.list().length === nodes.length && datasets.find('data') !== undefined
  await eventually(() => nodes.every(knows), 'not all know all', WAIT_MS)
  return {
    honest,
    alice,
    dave,
    now: clock.now,
    pass: (ms: number) => {
      aheadMs += ms
    },
  }
}

async function ballotOf(node: DatasetNode, commit: string) {
  const { tree } = await (await node.datasets.repository('data')).readCommit(commit)
  return { commit, tree }
}

async function viewWhen(
  node: ConsensusNode,
  id: string,
  ready: (view: RoundView) => boolean,
  complaint: string,
) {
  await eventually(() => ready(node.consensus.round(id)), complaint, WAIT_MS)
  return node.consensus.round(id)
}

async function adopted({ consensus }: ConsensusNode): Promise<void> {
  const holds = async () => {
    const truth = await consensus.truth('data')
    return truth.height === 1 && truth.adopted
  }
  await eventually(holds, 'the truth was not adopted', WAIT_MS)
}

const bytesOf = (node: DatasetNode, key: string) => node.registry.get(key)?.value ?? new Uint8Array()

async function decide(
  t: TestContext,
  nodes: readonly ConsensusNode[],
  files: Readonly<Record<string, string>>,
) {
  for (const node of nodes) await commitResult(t, node, files)
  const [alice] = nodes as [ConsensusNode]
  const { id, height } = await alice.consensus.open('data', 'collect', { windowMs: WINDOW_MS })
  const holds = async (node: ConsensusNode) => {
    const truth = await node.consensus.truth('data')
    return truth.height === height && truth.adopted
  }
  for (const node of nodes) await eventually(() => holds(node), `no truth ${height} of ${id}`, WAIT_MS)
  return id
}

test('who votes twice counts once, and who casts a lie before is named: the result is what the honest have', async (t) => {
  const { honest, alice, dave, now, pass } = await withDave(t, ['bob', 'carol'])
  const [, bob, carol] = honest as [ConsensusNode, ConsensusNode, ConsensusNode]
  for (const node of [alice, bob]) await commitResult(t, node, FOUND)
  const lie = await commitResult(t, dave, LIE)
  // Carol is away, so that nothing is decided without dave.
  await carol.stop()
  const { id, openedMs } = await alice.consensus.open('data', 'collect', { windowMs: WINDOW_MS })
  const self = dave.identity.peerId
  await eventually(() => dave.registry.get(openingKey(id)) !== undefined, 'dave never heard of it', WAIT_MS)
  await dave.registry.put(ballotKey(id, self), encodeJson(await ballotOf(dave, lie)))
  await viewWhen(alice, id, ({ ballots }) => ballots.length === 3, 'the ballots never came')
  pass(WINDOW_MS)
  const voted = await viewWhen(alice, id, ({ votes }) => votes.length === 2, 'alice and bob never voted')
  assert.equal(voted.state, 'closed')
  const result = voted.votes[0]?.commit as string
  assert.deepEqual(
    voted.votes.map(({ commit }) => commit),
    [result, result],
  )

  const closing = valueHash(bytesOf(alice, closingKey(id)))
  for (const commit of [lie, result]) {
    await dave.registry.put(voteKey(id, self), encodeJson({ closing, commit, view: openedMs }))
  }
  await viewWhen(alice, id, ({ prepared }) => prepared?.commit === result, 'no quorum voted for the result')
  for (const commit of [lie, result]) {
    await dave.registry.put(confirmationKey(id, self), encodeJson({ closing, commit, view: openedMs }))
  }
  for (const node of [alice, bob]) {
    const view = await viewWhen(node, id, ({ state }) => state === 'decided', 'it was never decided')
    assert.equal(view.commit, result)
    // Both words are shown, the lie among them.
    const said = view.votes.filter(({ peer }) => peer === self).map(({ commit }) => commit)
    assert.deepEqual([...new Set(said)].sort(), [lie, result].sort())
    await adopted(node)
    const truth = await node.consensus.truth('data')
    assert.equal(truth.commit, result)
    assert.deepEqual(truth.signers.map(({ name }) => name).sort(), ['alice', 'bob', 'dave'])
    const differing = truth.agreement.filter(({ commit, agrees }) => commit !== null && !agrees)
    assert.deepEqual(
      differing.map(({ name }) => name),
      ['dave'],
    )
    assert.equal((await node.consensus.verify('data')).ok, true)
  }
  assert(now() > openedMs + WINDOW_MS)
})

test('a vote that comes late is shown as late and decides nothing', async (t) => {
  const { honest, alice, dave, pass } = await withDave(t, ['bob', 'carol'])
  const [, bob, carol] = honest as [ConsensusNode, ConsensusNode, ConsensusNode]
  for (const node of [alice, bob]) await commitResult(t, node, FOUND)
  const found = await commitResult(t, dave, FOUND)
  await carol.stop()
  const opened = await alice.consensus.open('data', 'collect', { windowMs: WINDOW_MS })
  const { id, openedMs, votesUntilMs, cutoffMs } = opened
  const self = dave.identity.peerId
  await eventually(() => dave.registry.get(openingKey(id)) !== undefined, 'dave never heard of it', WAIT_MS)
  await dave.registry.put(ballotKey(id, self), encodeJson(await ballotOf(dave, found)))
  await viewWhen(alice, id, ({ ballots }) => ballots.length === 3, 'the ballots never came')
  pass(cutoffMs - openedMs)
  const voted = await viewWhen(alice, id, ({ votes }) => votes.length === 2, 'alice and bob never voted')
  const result = voted.votes[0]?.commit as string
  pass(votesUntilMs - cutoffMs)
  await viewWhen(alice, id, ({ state }) => state === 'undecided', 'its time never ran out')

  const closing = valueHash(bytesOf(alice, closingKey(id)))
  await dave.registry.put(voteKey(id, self), encodeJson({ closing, commit: result, view: openedMs }))
  for (const node of [alice, bob]) {
    const view = await viewWhen(node, id, ({ votes }) => votes.length === 3, 'the late vote never came')
    assert.deepEqual(
      view.votes.filter(({ late }) => late).map(({ name }) => name),
      ['dave'],
    )
    assert.deepEqual([view.state, view.reason], ['undecided', 'too-few-votes'])
    assert.equal((await node.consensus.truth('data')).height, 0)
  }
})

test('records of a round that are played again, in whatever order, change nothing', async (t) => {
  const nodes = await startVoters(t, ['bob'])
  const [alice, bob] = nodes as [ConsensusNode, ConsensusNode]
  await alice.datasets.importDirectory('data', await directoryOf(t, { 'README.md': 'about this\n' }))
  await eventually(() => bob.datasets.find('data') !== undefined, 'bob never heard of the dataset', WAIT_MS)
  const said: Uint8Array[] = []
  for (const files of [FOUND, { 'measured.csv': 'a,1\nb,3\n' }]) {
    const id = await decide(t, nodes, files)
    const peers = nodes.map(({ identity }) => identity.peerId)
    const keys = [openingKey(id), closingKey(id), truthKey('data')]
    keys.push(...[ballotKey, voteKey, confirmationKey].flatMap((key) => peers.map((peer) => key(id, peer))))
    for (const key of keys) {
      for (const { author } of alice.registry.claims(key)) {
        const envelope = alice.registry.envelope(key, author)
        if (envelope !== undefined) said.push(Uint8Array.from(envelope))
      }
    }
  }
  const state = async (node: ConsensusNode) => {
    const { commit, height } = await node.consensus.truth('data')
    return {
      digest: node.registry.digest(),
      revision: node.registry.revision,
      commit,
      height,
      rounds: node.consensus.rounds('data'),
    }
  }
  await eventually(() => alice.registry.digest() === bob.registry.digest(), 'bob never caught up', WAIT_MS)
  const before = await state(alice)
  assert.equal(before.height, 2)
  const heard = alice.heard.length
  for (const envelopes of [said, said.toReversed()]) {
    for (const verdict of await alice.registry.receiveAll(envelopes)) {
      assert.equal(verdict.action, 'ignore')
      assert(
        verdict.action === 'ignore' && ['STALE', 'DUPLICATE'].includes(verdict.code),
        JSON.stringify(verdict),
      )
    }
  }
  assert.deepEqual(await state(alice), before)
  assert.equal(alice.heard.length, heard, 'nothing is told')
  // A newcomer that hears the old ones first and last ends at the same truth.
  const carol = await joinVoter(t, alice, 'carol')
  await carol.registry.receiveAll([...said, ...said.toReversed()])
  const holds = async () => (await carol.consensus.truth('data')).commit === before.commit
  await eventually(holds, 'carol never held the truth', WAIT_MS)
})

test('a signed word that is moved to another federation, dataset or round is refused, in a record and in a certificate', async (t) => {
  const { honest, alice, dave } = await withDave(t, ['bob'])
  const [, bob] = honest as [ConsensusNode, ConsensusNode]
  await alice.datasets.add('other')
  const found = await commitResult(t, dave, FOUND)
  for (const node of honest) await commitResult(t, node, FOUND)
  const { id, openedMs } = await alice.consensus.open('data', 'collect', { windowMs: WINDOW_MS })
  const self = dave.identity.peerId
  await eventually(() => dave.registry.get(openingKey(id)) !== undefined, 'dave never heard of it', WAIT_MS)
  await dave.registry.put(ballotKey(id, self), encodeJson(await ballotOf(dave, found)))
  const { votes } = await viewWhen(alice, id, (view) => view.votes.length === 2, 'alice and bob never voted')

  const closing = valueHash(bytesOf(alice, closingKey(id)))
  const word = encodeJson({ closing, commit: votes[0]?.commit as string, view: openedMs })
  await dave.registry.put(voteKey(id, self), word)
  await viewWhen(
    alice,
    id,
    ({ confirmations }) => confirmations.length === 2,
    'alice and bob never confirmed',
  )
  await dave.registry.put(confirmationKey(id, self), word)
  await viewWhen(bob, id, ({ state }) => state === 'decided', 'it was never decided')
  await eventually(() => dave.registry.get(truthKey('data')) !== undefined, 'no certificate', WAIT_MS)

  // Dave signs the same word for elsewhere, and brings it here.
  const elsewhere = await sealRecord(dave.identity, {
    federation: 'elsewhere',
    key: voteKey(id, self),
    value: word,
    version: 99,
  })
  const verdict = await alice.registry.receive(elsewhere.envelope)
  assert(verdict.action === 'reject' && verdict.code === 'FOREIGN_FEDERATION')
  // What alice signed stays hers, under its key: neither another key nor another author takes it.
  const alices = voteKey(id, alice.identity.peerId)
  const stolen = await sealRecord(dave.identity, {
    federation: alice.genesis.federation,
    key: alices,
    value: word,
    version: 99,
  })
  const refused = await bob.registry.receive(stolen.envelope)
  assert.notEqual(refused.action, 'accept')
  const moved = Buffer.from(alice.registry.envelope(alices, alice.identity.peerId) as Uint8Array)
  const at = moved.indexOf('/votes/data/')
  moved.write('/votes/dat0/', at)
  const tampered = await bob.registry.receive(moved)
  assert(tampered.action === 'reject' && tampered.code === 'BAD_ENVELOPE')

  // The certificate of one dataset, given out as another's, or as another round's.
  const certificate = decodeJson(bytesOf(alice, truthKey('data'))) as Certificate
  const forgeries: [string, Partial<Certificate>][] = [
    ['other', {}],
    ['other', { round: certificate.round.replace('data/', 'other/') }],
    ['data', { round: `${certificate.round}1` }],
    ['data', { height: certificate.height + 1 }],
    ['data', { view: certificate.view + 60_000 }],
    [
      'data',
      {
        confirmations: {
          ...certificate.confirmations,
          [self]: Buffer.from(elsewhere.envelope).toString('base64'),
        },
      },
    ],
  ]
  for (const [dataset, change] of forgeries) {
    const sealed = await sealRecord(dave.identity, {
      ...{ federation: alice.genesis.federation, key: truthKey(dataset), version: 100 },
      value: encodeJson({ ...certificate, ...change }),
    })
    for (const node of honest) {
      const judged = await node.registry.receive(sealed.envelope)
      assert(
        judged.action === 'ignore' && judged.code === 'NOT_PROVEN',
        JSON.stringify([dataset, change, judged]),
      )
    }
  }
  for (const node of honest) {
    const { commit, height } = await node.consensus.truth('data')
    assert.deepEqual([commit, height], [certificate.commit, 1])
    assert.equal((await node.consensus.truth('other')).height, 0)
  }
})

test('two ballots, and two votes, of one version: all pick the same one, keep the other as proof, and decide', async (t) => {
  const { honest, alice, dave, pass } = await withDave(t, ['bob', 'carol'])
  for (const node of honest) await commitResult(t, node, FOUND)
  const faces = [
    await commitResult(t, dave, LIE),
    await commitResult(t, dave, { 'measured.csv': 'another\n' }),
  ]
  const { id, openedMs } = await alice.consensus.open('data', 'collect', { windowMs: WINDOW_MS })
  const self = dave.identity.peerId
  const opened = ({ registry }: DatasetNode) => registry.get(openingKey(id)) !== undefined
  await eventually(() => honest.every(opened), 'not all heard of the round', WAIT_MS)
  const twice = async (key: string, values: readonly Uint8Array[]) => {
    const time = openedMs + 1
    const fields = { federation: alice.genesis.federation, key, version: 9, time, since: time }
    const [one, two] = await Promise.all(
      values.map((value) => sealRecord(dave.identity, { ...fields, value })),
    )
    assert(one && two)
    for (const [index, node] of honest.entries()) {
      await node.registry.receiveAll(
        (index % 2 === 0 ? [one, two] : [two, one]).map(({ envelope }) => envelope),
      )
    }
    const kept = new Set(honest.map((node) => Buffer.from(bytesOf(node, key)).toString()))
    assert.equal(kept.size, 1, 'all show the same')
    const loser = one.hash < two.hash ? one : two
    for (const { store } of honest) {
      const proofs = (await store.evidence()).map((envelope) => Buffer.from(envelope))
      assert(
        proofs.some((proof) => proof.equals(loser.envelope)),
        'the other one is kept as proof',
      )
    }
  }
  const ballots = await Promise.all(faces.map((commit) => ballotOf(dave, commit)))
  await twice(ballotKey(id, self), ballots.map(encodeJson))
  await viewWhen(
    alice,
    id,
    (view) => new Set(view.ballots.map(({ peer }) => peer)).size === 4,
    'ballots are missing',
  )
  // Whichever of them a node shows: it knows that dave said both.
  const both = (view: RoundView) => view.ballots.filter(({ peer }) => peer === self).length === 2
  for (const node of honest) await viewWhen(node, id, both, 'the second face is not shown')
  pass(WINDOW_MS)
  const commits = new Set<string | undefined>()
  for (const node of honest) {
    const view = await viewWhen(node, id, ({ state }) => state === 'decided', 'it was never decided')
    commits.add(view.commit)
    const counted = view.ballots.filter((ballot) => ballot.counted).map(({ name }) => name)
    assert.deepEqual(counted.sort(), ['alice', 'bob', 'carol'])
  }
  assert.equal(commits.size, 1)

  const closing = valueHash(bytesOf(alice, closingKey(id)))
  await twice(
    voteKey(id, self),
    faces.map((commit) => encodeJson({ closing, commit, view: openedMs })),
  )
  for (const node of honest) {
    await adopted(node)
    assert.equal((await node.consensus.truth('data')).commit, [...commits][0])
  }
})
