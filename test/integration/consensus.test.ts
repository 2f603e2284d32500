import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import type { ScheduledRun } from '../../src/consensus/scheduled-outputs.ts'
import { encodeJson } from '../../src/registry/collection.ts'
import { type ConsensusNode, commitResult, restartVoter, startVoters } from '../support/consensus-node.ts'
import { directoryOf, meet } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const coded = (code: ErrorCode) => (error: unknown) => isNodeError(error, code)
const WAIT_MS = 60_000
const FOUND = { 'packages.csv': 'a,1\nb,2\n', 'control-1.csv': '2\n' }
const LOST = { 'packages.csv': 'a,1\n', 'control-1.csv': '1\n', 'extra.txt': 'mine\n' }

async function knowDataset(nodes: readonly ConsensusNode[]): Promise<void> {
  for (const node of nodes) {
    await eventually(() => node.datasets.list().length === 1, 'the dataset was not heard of', WAIT_MS)
  }
}

async function truthIs(nodes: readonly ConsensusNode[], height: number): Promise<string> {
  const branch = async (node: ConsensusNode) =>
    (await node.datasets.repository('data')).resolve('ground-truth')
  await eventually(
    async () => {
      const views = await Promise.all(nodes.map((node) => node.consensus.truth('data')))
      return views.every((view) => view.height === height && view.adopted)
    },
    `not everybody holds truth ${height}`,
    WAIT_MS,
  )
  const commits = new Set(await Promise.all(nodes.map(branch)))
  assert.equal(commits.size, 1, 'the branch is the same everywhere')
  return [...commits][0] as string
}

async function found(t: TestContext, names: string[], options = {}): Promise<ConsensusNode[]> {
  const nodes = await startVoters(t, names, options)
  await nodes[0]?.datasets.importDirectory('data', await directoryOf(t, { 'README.md': 'about this\n' }))
  await knowDataset(nodes)
  return nodes
}

test('three members vote; one has lost entries; all hold what two found, and see who differed where', async (t) => {
  const nodes = (await found(t, ['bob', 'carol'])) as [ConsensusNode, ConsensusNode, ConsensusNode]
  const [alice, bob, carol] = nodes
  for (const node of [alice, bob]) await commitResult(t, node, FOUND)
  const lost = await commitResult(t, carol, LOST)
  const opened = await bob.consensus.open('data', 'collect', { windowMs: 20_000 })
  assert.equal(opened.state, 'open')
  await assert.rejects(bob.consensus.open('data', 'assess'), coded('CONFLICT'))
  const commit = await truthIs(nodes, 1)

  const truth = await carol.consensus.truth('data')
  assert.equal(truth.commit, commit)
  assert.deepEqual(truth.signers.map(({ name }) => name).sort(), ['alice', 'bob', 'carol'])
  const differed = truth.agreement.find(({ name }) => name === 'carol')
  assert.deepEqual(differed?.differences, {
    missing: [],
    extra: ['extra.txt'],
    different: ['control-1.csv', 'packages.csv'],
  })
  assert.equal(differed?.commit, lost)
  assert.deepEqual(truth.agreement.map(({ agrees }) => agrees).sort(), [false, true, true])
  const files = await (await carol.datasets.repository('data')).listFiles(commit)
  assert.deepEqual(
    files.map(({ path }) => path),
    ['README.md', 'control-1.csv', 'packages.csv'],
  )
  const [result] = await carol.datasets.log('data')
  assert.equal(result?.author.name, 'MAO consensus')
  assert.deepEqual(await alice.consensus.verify('data').then(({ ok, recomputed }) => ({ ok, recomputed })), {
    ok: true,
    recomputed: commit,
  })
  assert.equal(alice.consensus.round(opened.id).commit, commit)

  // The next round builds on it; a round of another step keeps the files of this one.
  for (const node of nodes) await commitResult(t, node, { 'insights.json': '{}\n' }, 'assess')
  await alice.consensus.open('data', 'assess', { windowMs: 20_000 })
  const next = await truthIs(nodes, 2)
  assert.deepEqual(
    (await (await bob.datasets.repository('data')).listFiles(next)).map(({ path }) => path),
    ['README.md', 'control-1.csv', 'insights.json', 'packages.csv'],
  )
  assert.equal((await bob.consensus.verify('data')).ok, true)
})

test('a member that was away adopts the truth when it is back, and nobody writes anything for it', async (t) => {
  const nodes = await found(t, ['bob', 'carol', 'dave'])
  const dave = nodes.pop() as ConsensusNode
  await eventually(() => dave.members.list().length === 4, 'dave does not know everybody', WAIT_MS)
  await dave.stop()
  const [alice] = nodes as [ConsensusNode]
  for (const node of nodes) await commitResult(t, node, FOUND)
  await alice.consensus.open('data', 'collect', { windowMs: 2_000 })
  await truthIs(nodes, 1)
  // What a member holds it says itself; of the round nothing is written any more.
  const written = () => alice.registry.list('/').filter(({ key }) => !key.startsWith('/replicas/')).length
  const before = written()
  const back = await restartVoter(t, dave)
  await meet(back, alice)
  await truthIs([...nodes, back], 1)
  assert.equal(written(), before)
  assert.deepEqual(back.heard.filter(({ type }) => type === 'vote' || type === 'refused').length, 3)
})

test('scheduled runs bring their results into one round, which one of the members opens', async (t) => {
  const nodes = await found(t, ['bob', 'carol'], { windowMs: 20_000 })
  const slot = Date.now()
  for (const node of nodes) {
    const commit = await commitResult(t, node, FOUND)
    const steps = [{ name: 'collect', outputDataset: 'data', outputCommit: commit }]
    const run: ScheduledRun = {
      pipeline: 'p',
      trigger: { kind: 'schedule', slot },
      state: 'succeeded',
      steps,
      createdMs: slot,
      endedMs: Date.now(),
    }
    node.ran({ ...run, state: 'running' })
    node.ran(run)
  }
  await truthIs(nodes, 1)
  const [round] = nodes[0]?.consensus.rounds('data') ?? []
  assert.equal(round?.id, `data/collect/${slot}`)
  assert.equal(round?.trigger, 'schedule')
})

test('a node that crashed between its run and its ballot casts it when it is back', async (t) => {
  const nodes = (await found(t, ['bob', 'carol'], { windowMs: 60_000 })) as [
    ConsensusNode,
    ConsensusNode,
    ConsensusNode,
  ]
  const [alice, bob, carol] = nodes
  const slot = Date.now()
  const runOf = async (node: ConsensusNode): Promise<ScheduledRun> => ({
    pipeline: 'p',
    trigger: { kind: 'repeat', slot },
    state: 'succeeded',
    steps: [{ name: 'collect', outputDataset: 'data', outputCommit: await commitResult(t, node, FOUND) }],
    createdMs: slot,
    endedMs: Date.now(),
  })
  for (const node of [alice, bob]) node.ran(await runOf(node))
  const lastRun = await runOf(carol)
  await carol.stop()
  await eventually(() => alice.consensus.rounds('data')[0]?.ballots.length === 2, 'no two ballots', WAIT_MS)
  assert.equal(alice.consensus.rounds('data')[0]?.state, 'open')
  const back = await restartVoter(t, carol, { runs: [lastRun], windowMs: 60_000 })
  for (const node of [alice, bob]) await meet(back, node)
  await truthIs([alice, bob, back], 1)
})

test('a member that opens an endless round for itself alone stops nobody: rounds are asked for and scheduled as ever', async (t) => {
  const nodes = await found(t, ['bob', 'carol'], { windowMs: 20_000 })
  const [alice, bob] = nodes as [ConsensusNode, ConsensusNode]
  const endless = Date.now() * 1_000
  const alone = {
    electorate: [bob.identity.peerId],
    method: { name: 'identical' },
    quorum: { ballots: 1, votes: 1 },
    trigger: 'request',
    openedBy: bob.identity.peerId,
  }
  const times = { openedMs: Date.now(), cutoffMs: endless, votesUntilMs: endless + 1 }
  const opening = { ...alone, parent: null, height: 999_999, ...times }
  await bob.registry.put('/rounds/data/spam/1/opening', encodeJson(opening))
  const spam = () => nodes.every((node) => node.consensus.rounds('data')[0]?.reason === 'refused')
  await eventually(spam, 'the false opening was not heard of', WAIT_MS)
  for (const node of nodes) await commitResult(t, node, FOUND)
  await alice.consensus.open('data', 'collect', { windowMs: 20_000 })
  await truthIs(nodes, 1)
  const slot = Date.now()
  for (const node of nodes) {
    const commit = await commitResult(t, node, { 'insights.json': '{}\n' }, 'assess')
    const steps = [{ name: 'assess', outputDataset: 'data', outputCommit: commit }]
    const trigger = { kind: 'schedule', slot }
    node.ran({ pipeline: 'p', trigger, state: 'succeeded', steps, createdMs: slot, endedMs: Date.now() })
  }
  await truthIs(nodes, 2)
})

test('rounds of what is no dataset are left alone until it is one', async (t) => {
  const [alice] = (await startVoters(t, [])) as [ConsensusNode]
  const electorate = [alice.identity.peerId]
  // Its record may come after its rounds; what was opened before it was founded is about another of its name.
  const openedMs = Date.now() + 5_000
  const times = { openedMs, cutoffMs: openedMs + 20_000, votesUntilMs: openedMs + 80_000 }
  const quorum = { ballots: 1, votes: 1 }
  const asked = { method: { name: 'identical' }, trigger: 'request', quorum, openedBy: electorate[0] }
  const shape = { ...asked, parent: null, height: 1 }
  await alice.registry.put('/rounds/data/collect/5/opening', encodeJson({ electorate, ...shape, ...times }))
  assert.deepEqual(alice.consensus.rounds(), [])
  await alice.datasets.add('data')
  await eventually(() => alice.consensus.rounds()[0]?.state === 'open', 'the round was not found', WAIT_MS)
  await alice.registry.delete('/dataset/data')
  await eventually(() => alice.consensus.rounds().length === 0, 'its rounds outlive the dataset', WAIT_MS)
})

test('consensus takes up again where it was stopped', async (t) => {
  const [alice] = (await found(t, [])) as [ConsensusNode]
  await alice.consensus.stop()
  await alice.consensus.start()
  await commitResult(t, alice, FOUND)
  await alice.consensus.open('data', 'collect', { windowMs: 20_000 })
  await truthIs([alice], 1)
})

test('too few ballots: the round ends undecided, says why, and the truth stays where it was', async (t) => {
  const nodes = (await found(t, ['bob', 'carol'])) as [ConsensusNode, ConsensusNode, ConsensusNode]
  const [alice, bob] = nodes
  const before = (await alice.consensus.truth('data')).commit
  for (const node of [alice, bob]) await commitResult(t, node, FOUND)
  const { id } = await alice.consensus.open('data', 'collect', { windowMs: 1_000 })
  await eventually(() => alice.consensus.round(id).state === 'undecided', 'it did not end', WAIT_MS)
  const round = alice.consensus.round(id)
  assert.equal(round.reason, 'too-few-ballots')
  assert.match(round.explanation ?? '', /^2 of 3 members/)
  assert.deepEqual(await alice.consensus.truth('data').then(({ commit, height }) => ({ commit, height })), {
    commit: before,
    height: 0,
  })
  // What a round is follows from the time; that it is told waits for the next look at it.
  const told = () => alice.heard.some((event) => event.type === 'undecided' && event.round === id)
  await eventually(told, 'its end was never told', WAIT_MS)
  assert.equal((await alice.consensus.verify('data')).ok, false)
})

test('three different results: no consensus, said at once and signed by all', async (t) => {
  const nodes = await found(t, ['bob', 'carol'])
  const [alice] = nodes as [ConsensusNode]
  for (const [i, node] of nodes.entries()) await commitResult(t, node, { 'packages.csv': `${i}\n` })
  const { id } = await alice.consensus.open('data', 'collect', { windowMs: 20_000 })
  await eventually(() => alice.consensus.round(id).state === 'undecided', 'it did not end', WAIT_MS)
  const round = alice.consensus.round(id)
  assert.equal(round.reason, 'no-majority')
  assert.deepEqual(
    round.votes.map(({ commit }) => commit),
    [null, null, null],
  )
})

test('no member can write a truth: without a certificate the registry refuses it', async (t) => {
  const [alice] = (await found(t, [])) as [ConsensusNode]
  const forged = alice.registry.put('/truth/data', encodeJson({ commit: 'a'.repeat(40) }))
  await assert.rejects(forged, coded('CERTIFICATE_INVALID'))
  await assert.rejects(alice.consensus.open('nothing', 'collect'), coded('DATASET_NOT_FOUND'))
  await assert.rejects(alice.consensus.open('data', 'No Step'), coded('INVALID_NAME'))
  await assert.rejects(alice.consensus.open('data', 'collect', { windowMs: 1 }), coded('INVALID_INPUT'))
  assert.throws(() => alice.consensus.round('data/collect/1'), coded('ROUND_NOT_FOUND'))
  // A federation of one decides by itself.
  await commitResult(t, alice, FOUND)
  await alice.consensus.open('data', 'collect', { windowMs: 20_000 })
  await truthIs([alice], 1)
})
