import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Opening, openingSchema } from '../../src/consensus/records.ts'
import { isCheck } from '../../src/consensus/reliability/repetition.ts'
import { openingKey } from '../../src/consensus/round-id.ts'
import type { ScheduledRun } from '../../src/consensus/scheduled-outputs.ts'
import type { TruthRules } from '../../src/datasets/truth-rule.ts'
import { decodeJson, encodeJson } from '../../src/registry/collection.ts'
import { type ConsensusNode, commitResult, joinVoter, startVoters } from '../support/consensus-node.ts'
import { directoryOf } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'

const WAIT_MS = 60_000
const CHECKS = 3

/** Members that have a dataset with this rule. */
async function found(t: TestContext, names: string[], truth: TruthRules, options = {}) {
  const nodes = await startVoters(t, names, options)
  const [founder] = nodes as [ConsensusNode]
  await founder.datasets.importDirectory('data', await directoryOf(t, { 'README.md': 'about this\n' }))
  const record = decodeJson(founder.registry.get('/dataset/data')?.value as Uint8Array) as object
  await founder.registry.put('/dataset/data', encodeJson({ ...record, truth }))
  await know(nodes)
  return nodes
}

/** Everybody knows everybody, and the dataset with its rule. */
async function know(nodes: readonly ConsensusNode[]): Promise<void> {
  const knows = ({ members, datasets }: ConsensusNode) =>
    members.list().length === nodes.length && datasets.find('data')?.record.truth !== undefined
  await eventually(() => nodes.every(knows), 'the members never knew each other and the rule', WAIT_MS)
}

async function truthIs(nodes: readonly ConsensusNode[], height: number): Promise<string> {
  const views = () => Promise.all(nodes.map((node) => node.consensus.truth('data')))
  const told = async () => (await views()).every((view) => view.height === height && view.adopted)
  await eventually(told, `not everybody holds truth ${height}`, WAIT_MS)
  const commits = new Set((await views()).map(({ commit }) => commit))
  assert.equal(commits.size, 1)
  return [...commits][0] as string
}

function openingOf(node: ConsensusNode, round: string): Opening {
  return openingSchema.parse(decodeJson(node.registry.get(openingKey(round))?.value as Uint8Array))
}

/** What each member's past results are, as the node reads them. */
function pastAt({ consensus }: ConsensusNode, commit: string) {
  const results = consensus.terms.history.upTo('data', commit)
  assert.notEqual(typeof results, 'string', String(results))
  return results
}

test('results of members that were right so far outweigh as many newcomers, and weights that nobody earned are refused', {
  timeout: 180_000,
}, async (t) => {
  const nodes = await found(t, ['bob'], { all: { method: { name: 'weighted' } } })
  const [alice, bob] = nodes as [ConsensusNode, ConsensusNode]
  for (const height of [1, 2, 3, 4]) {
    for (const node of nodes) await commitResult(t, node, { 'measured.txt': `${height}\n` })
    await alice.consensus.open('data', 'collect', { windowMs: 20_000 })
    await truthIs(nodes, height)
  }

  const carol = await joinVoter(t, alice, 'carol')
  const dave = await joinVoter(t, alice, 'dave')
  const all = [alice, bob, carol, dave]
  await know(all)
  const before = await truthIs(all, 4)
  for (const node of all) await node.consensus.terms.prepare('data')
  for (const node of all)
    assert.deepEqual(pastAt(node, before), pastAt(alice, before), 'all read one history')

  // Dave gives himself what he has not earned.
  const weights = Object.fromEntries(all.map(({ identity }) => [identity.peerId, 1]).sort())
  const slot = Date.now()
  const forged = {
    ...{ electorate: Object.keys(weights), method: { name: 'weighted' }, trigger: 'request' },
    ...{ quorum: { ballots: 3, votes: 3 }, weights: { ...weights, [dave.identity.peerId]: 1_000 } },
    ...{ parent: before, height: 5, openedMs: slot, cutoffMs: slot + 60_000, votesUntilMs: slot + 120_000 },
    openedBy: dave.identity.peerId,
  } satisfies Opening
  await dave.registry.put(openingKey(`data/collect/${slot}`), encodeJson(forged))
  const refusal = ({ heard }: ConsensusNode) =>
    heard.find((event) => event.type === 'refused' && event.round === `data/collect/${slot}`)
  await eventually(() => [alice, bob, carol].every(refusal), 'forged weights were not refused', WAIT_MS)
  const told = refusal(carol)
  assert.ok(told?.type === 'refused')
  assert.equal(told.reason, 'its weights do not follow from the past rounds')

  for (const node of [alice, bob]) await commitResult(t, node, { 'measured.txt': 'as always\n' })
  for (const node of [carol, dave]) await commitResult(t, node, { 'measured.txt': 'something else\n' })
  const opened = await bob.consensus.open('data', 'collect', { windowMs: 20_000 })
  const earned = [alice, bob].map(({ identity }) => [identity.peerId, 833])
  const newcomers = [carol, dave].map(({ identity }) => [identity.peerId, 500])
  assert.deepEqual(openingOf(bob, opened.id).weights, Object.fromEntries([...earned, ...newcomers]))
  const commit = await truthIs(all, 5)
  const repository = await dave.datasets.repository('data')
  const [agreed] = (await repository.listFiles(commit)).filter(({ path }) => path === 'measured.txt')
  const [asAlways] = (await repository.listFiles(before)).filter(({ path }) => path === 'measured.txt')
  assert.notEqual(agreed?.oid, asAlways?.oid)
  const { agreement } = await carol.consensus.truth('data')
  const agrees = Object.fromEntries(agreement.map((each) => [each.name, each.agrees]))
  assert.deepEqual(agrees, { alice: true, bob: true, carol: false, dave: false })
})

/** A scheduled slot, of which so many were taken already, that is looked after by all or is not. */
function slotOf(check: boolean, taken: Set<number>): number {
  let slot = Date.now()
  while (taken.has(slot) || isCheck(`data/collect/${slot}`, CHECKS) !== check) slot -= 1
  taken.add(slot)
  return slot
}

test('proven members work alone, everybody does in checks, and one bad result ends the trust', {
  timeout: 180_000,
}, async (t) => {
  const rule = { method: { name: 'identical' }, adaptive: { proven: 2, checks: CHECKS } } as const
  // Longer than those before an unproven member take who could open its round.
  const options = { windowMs: 5_000 }
  const nodes = await found(t, ['bob', 'carol'], { steps: { collect: rule } }, options)
  const [alice, bob, carol] = nodes as [ConsensusNode, ConsensusNode, ConsensusNode]
  const taken = new Set<number>()
  /** Their scheduled runs of one slot end with these contents. */
  const run = async (slot: number, contents: ReadonlyMap<ConsensusNode, string>) => {
    for (const [node, text] of contents) {
      const commit = await commitResult(t, node, { 'measured.txt': text })
      const ended: ScheduledRun = {
        ...{ pipeline: 'p', trigger: { kind: 'schedule', slot }, state: 'succeeded' },
        ...{ createdMs: slot, endedMs: Date.now() },
        steps: [{ name: 'collect', outputDataset: 'data', outputCommit: commit }],
      }
      node.ran(ended)
    }
    return `data/collect/${slot}`
  }
  const same = (text: string) => new Map(nodes.map((node) => [node, text]))
  const provenIn = (round: string) => {
    const { quorum, electorate } = openingOf(alice, round)
    assert.equal(quorum.votes, electorate.length, 'the votes are what they always were')
    return quorum.proven?.map((peer) => alice.members.get(peer)?.name).sort()
  }

  // Nobody is proven: everybody works.
  for (const height of [1, 2]) {
    const round = await run(slotOf(false, taken), same(`${height}\n`))
    await truthIs(nodes, height)
    assert.equal(provenIn(round), undefined)
  }

  // One of the proven works, and the two others sign what they have not repeated.
  const alone = await run(slotOf(false, taken), new Map([[carol, '3\n']]))
  await truthIs(nodes, 3)
  assert.deepEqual(provenIn(alone), ['alice', 'bob', 'carol'])
  assert.equal(bob.consensus.round(alone).ballots.length, 1)

  // In a check all do, and one has it wrong.
  const check = await run(slotOf(true, taken), new Map([...same('4\n'), [bob, 'wrong\n']]))
  await truthIs(nodes, 4)
  assert.equal(provenIn(check), undefined)

  // Two that are proven are left, and one of them is enough; the third one's word alone would not be.
  const next = await run(slotOf(false, taken), new Map([[alice, '5\n']]))
  await truthIs(nodes, 5)
  assert.deepEqual(provenIn(next), ['alice', 'carol'])
  const ignored = await run(slotOf(false, taken), new Map([[bob, 'bob says so\n']]))
  const ended = () => alice.heard.some((event) => event.type === 'undecided' && event.round === ignored)
  await eventually(ended, 'a round with nothing but an unproven ballot did not end', WAIT_MS)
  assert.equal(alice.consensus.round(ignored).reason, 'too-few-ballots')

  // Whoever joins later reads the same past.
  const dave = await joinVoter(t, alice, 'dave', options)
  const commit = await truthIs([...nodes, dave], 5)
  for (const node of [alice, dave]) await node.consensus.terms.prepare('data')
  const past = pastAt(dave, commit)
  assert.deepEqual(past, pastAt(alice, commit))
  assert.deepEqual(
    (past as readonly { ballots: readonly object[] }[]).map(({ ballots }) => ballots.length),
    [3, 3, 1, 3, 1],
  )
})
