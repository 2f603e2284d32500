import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import { type ErrorCode, isNodeError } from '../../src/base/errors.ts'
import { choicesSchema } from '../../src/consensus/hand/choices.ts'
import { HandBallots, type HandChoice } from '../../src/consensus/hand/hand-ballots.ts'
import type { TruthRules } from '../../src/datasets/truth-rule.ts'
import { type ConsensusNode, commitResult, startVoters } from '../support/consensus-node.ts'
import { directoryOf } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const WAIT_MS = 60_000
const signal = AbortSignal.timeout(120_000)
const coded = (code: ErrorCode, told: RegExp) => (error: unknown) =>
  isNodeError(error, code) && told.test(error.message)
const choose = (some: object): HandChoice => ({ kind: 'choices', choices: choicesSchema.parse(some) })

async function lab(
  t: TestContext,
  names: string[],
  truth: TruthRules,
  windowMs: number,
): Promise<ConsensusNode[]> {
  const nodes = await startVoters(t, names, { windowMs })
  const [alice] = nodes as [ConsensusNode]
  await alice.datasets.importDirectory('data', await directoryOf(t, { 'README.md': 'about\n' }))
  await alice.datasets.edit('data', { truth })
  for (const node of nodes) {
    await eventually(
      () => node.datasets.find('data')?.record.truth !== undefined,
      'the rule was not heard of',
      WAIT_MS,
    )
  }
  return nodes
}

function handOf({ identity, consensus, registry, members, datasets }: ConsensusNode): HandBallots {
  return new HandBallots({
    self: identity.peerId,
    consensus,
    registry,
    members,
    datasets,
    clock: systemClock,
  })
}

test('a schedule asks for a round by hand: no run is cast by itself, and of two choices at once one is', async (t) => {
  const nodes = await lab(t, ['bob'], { all: { method: { name: 'identical' }, ballots: 'hand' } }, 60_000)
  const slot = Date.now()
  for (const node of nodes) {
    const outputCommit = await commitResult(t, node, { 'a.txt': `${node.members.self().name}\n` })
    node.ran({
      ...{
        pipeline: 'p',
        trigger: { kind: 'schedule', slot },
        state: 'succeeded',
        createdMs: slot,
        endedMs: Date.now(),
      },
      steps: [{ name: 'collect', outputDataset: 'data', outputCommit }],
    })
  }
  const id = `data/collect/${slot}`
  const isOpen = (node: ConsensusNode) => node.consensus.rounds('data').some((round) => round.id === id)
  for (const node of nodes) await eventually(() => isOpen(node), 'the round was never opened', WAIT_MS)
  const [alice, bob] = nodes as [ConsensusNode, ConsensusNode]
  const hand = handOf(bob)
  await eventually(
    async () => (await hand.candidates(id)).length === 2,
    'a result was never heard of',
    WAIT_MS,
  )
  const { trigger, ballots } = bob.consensus.round(id)
  assert.deepEqual([trigger, ballots], ['hand', []])

  const attempts = await Promise.allSettled(
    ['alice', 'bob'].map((candidate) => hand.cast(id, choose({ candidate }), { signal })),
  )
  assert.deepEqual(
    attempts.map((attempt) => (attempt.status === 'fulfilled' ? 'cast' : attempt.reason.code)),
    ['cast', 'ALREADY_EXISTS'],
  )
  // Of the same files no new commit is made: the candidate's own is the ballot.
  await handOf(alice).cast(id, choose({}), { signal })
  const decided = (node: ConsensusNode) => node.consensus.round(id).state === 'decided'
  for (const node of nodes) await eventually(() => decided(node), 'the round was never decided', WAIT_MS)
  const commits = bob.consensus.round(id).ballots.map(({ commit }) => commit)
  assert.equal(new Set(commits).size, 1)
})

test('a ballot that could not be counted is not cast, and leaves the voter its one', async (t) => {
  const rows: TruthRules = { steps: { collect: { method: { name: 'rows', key: ['id'] }, ballots: 'hand' } } }
  const [alice] = (await lab(t, [], rows, 60_000)) as [ConsensusNode]
  await commitResult(t, alice, { 't.csv': 'id,v\n1,a,too many\n' })
  const { id } = await alice.consensus.open('data', 'collect', { windowMs: 60_000 })
  const hand = handOf(alice)
  const cast = (choice: HandChoice) => hand.cast(id, choice, { signal })
  await assert.rejects(cast(choose({})), coded('INVALID_INPUT', /could not be counted: t\.csv: line 2/))
  const entry = { path: 't.csv', key: '1', member: 'alice' }
  await assert.rejects(
    cast(choose({ entries: [entry] })),
    coded('INVALID_INPUT', /cannot be read entry by entry: line 2/),
  )
  await assert.rejects(
    cast({ kind: 'commit', commit: 'a'.repeat(40) }),
    coded('COMMIT_NOT_FOUND', /no commit of vote\.collect-.*--from DIRECTORY/),
  )
  assert.deepEqual(alice.consensus.round(id).ballots, [])
  await commitResult(t, alice, { 'mended.csv': 'id,v\n1,a\n' }, 'vote.collect')
  const commit = (await alice.datasets.repository('data')).resolve(
    `vote.collect-${alice.members.self().name}`,
  )
  await cast({ kind: 'commit', commit: (await commit) as string })
  await eventually(
    () => alice.consensus.round(id).state === 'decided',
    'the round was never decided',
    WAIT_MS,
  )
})
