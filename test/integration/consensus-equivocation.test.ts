import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ballotKey } from '../../src/consensus/round-id.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { type ConsensusNode, commitResult, restartVoter, startVoters } from '../support/consensus-node.ts'
import { directoryOf } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const WAIT_MS = 60_000
const FOUND = { 'packages.csv': 'a,1\nb,2\n' }

test('a member that casts two ballots is shown by all with both of them, counted by nobody, and known after a restart', async (t) => {
  const nodes = await startVoters(t, ['bob', 'carol', 'dave'])
  const [alice, bob, carol, dave] = nodes as [ConsensusNode, ConsensusNode, ConsensusNode, ConsensusNode]
  const honest = [alice, bob, carol]
  await alice.datasets.importDirectory('data', await directoryOf(t, { 'README.md': 'about this\n' }))
  for (const { datasets } of nodes)
    await eventually(() => datasets.list().length === 1, 'the dataset was not heard of', WAIT_MS)
  for (const node of honest) await commitResult(t, node, FOUND)
  // The liar's own node would cast its head by itself: it does as it likes instead.
  await dave.consensus.stop()
  const { id } = await alice.consensus.open('data', 'collect', { windowMs: 10_000 })
  const liar = dave.identity.peerId
  for (const digit of ['1', '2']) {
    const ballot = { commit: digit.repeat(40), tree: digit.repeat(40) }
    await dave.registry.put(ballotKey(id, liar), encodeJson(ballot))
    // One after the other: what replaces a ballot does not make it unsaid for whoever heard it.
    const shown = ({ consensus }: ConsensusNode) =>
      consensus.round(id).ballots.some(({ commit }) => commit === ballot.commit)
    await eventually(() => honest.every(shown), `ballot ${digit} was not heard of`, WAIT_MS)
  }
  const against = (node: ConsensusNode) =>
    node.consensus.round(id).equivocations.map(({ peer, what, said }) => [peer, what, [...said].sort()])
  const both = [[liar, 'two-ballots', ['1'.repeat(40), '2'.repeat(40)]]]
  for (const node of honest) {
    await eventually(() => against(node).length === 1, 'it was not found out', WAIT_MS)
    assert.deepEqual(against(node), both)
    const isTold = () => node.heard.some((event) => event.type === 'equivocation' && event.peer === liar)
    await eventually(isTold, 'nobody was told of it', WAIT_MS)
  }
  await eventually(
    () => honest.every(({ consensus }) => consensus.round(id).state === 'decided'),
    'the round was not decided',
    WAIT_MS,
  )
  const counted = alice.consensus.round(id).ballots.filter((ballot) => ballot.counted)
  assert.deepEqual(
    counted.map(({ peer }) => peer).sort(),
    honest.map(({ identity }) => identity.peerId).sort(),
  )

  await bob.stop()
  const back = await restartVoter(t, bob)
  assert.deepEqual(against(back), both)
})
