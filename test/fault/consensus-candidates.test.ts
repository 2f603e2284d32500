import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { entriesMax, entryFileBytesMax } from '../../src/base/limits-consensus.ts'
import { MIB } from '../../src/base/units.ts'
import type { PackRepository } from '../../src/datasets/git/repository.ts'
import type { TruthRules } from '../../src/datasets/truth-rule.ts'
import { type ConsensusNode, startVoters } from '../support/consensus-node.ts'
import { directoryOf, forgeHead, meet } from '../support/dataset-node.ts'
import { eventually } from '../support/eventually.ts'
import { plantCommit } from '../support/git-backends.ts'

const WAIT_MS = 120_000
const WINDOW_MS = 3_600_000
const ROWS: TruthRules = { all: { method: { name: 'rows', key: ['id'] } } }
const TRUE_ROWS = 'id,value\n1,a\n2,b\n3,c\n'

interface Candidate {
  /** What it holds in the place of the table. */
  readonly table?: () => string | Buffer
  /** Entries at the top of its tree, which no honest node would write. */
  readonly entries?: Parameters<typeof plantCommit>[1]
  readonly rule?: TruthRules
  readonly defect: RegExp
}

const BAD: Readonly<Record<string, Candidate>> = {
  climbing: {
    entries: [{ mode: '100644', name: '../../out', content: 'x' }],
    defect: /holds names that no dataset holds|separator inside a name/,
  },
  'git-directory': {
    entries: [{ mode: '100644', name: '.GIT', content: 'x' }],
    defect: /holds names that no dataset holds|directory of git in disguise/,
  },
  ragged: { table: () => 'id,value\n1,a\n2\n3,c\n', rule: ROWS, defect: /^table\.csv: line 3: / },
  'twin-columns': {
    table: () => 'id,value,id\n1,a,1\n',
    rule: ROWS,
    defect: /^table\.csv: line 1: two columns are named "id"/,
  },
  'not-utf-8': {
    table: () => Buffer.from('id,value\n1,\xff\n', 'latin1'),
    rule: ROWS,
    defect: /^table\.csv: .*UTF-8/,
  },
}

const BOMBS: Readonly<Record<string, Candidate>> = {
  'rows-without-end': {
    table: tooManyRows,
    rule: ROWS,
    defect: new RegExp(`^table\\.csv: line \\d+: more than ${entriesMax} rows`),
  },
  'too-large': {
    table: () => Buffer.alloc(entryFileBytesMax + 2, '1\n'),
    rule: ROWS,
    defect: /^table\.csv has \d+ bytes/,
  },
}

/** Of a few bytes each, and no two alike. */
function tooManyRows(): string {
  const rows = Array.from({ length: entriesMax + 1 }, (_, n) => n.toString(36))
  return `id\n${rows.join('\n')}\n`
}

test('a hostile candidate is named with its reason by every member, and the round goes on without it and decides', (t) =>
  withoutThem(t, BAD))

test('so is one that would take all memory to look into, and nobody takes it', {
  timeout: 240_000,
}, async (t) => {
  const before = process.memoryUsage.rss()
  await withoutThem(t, BOMBS)
  const grownMiB = (process.memoryUsage.rss() - before) / MIB
  assert(grownMiB < 1_024, `four nodes in this process grew by ${Math.round(grownMiB)} MiB`)
})

async function withoutThem(t: TestContext, candidates: Readonly<Record<string, Candidate>>): Promise<void> {
  let aheadMs = 0
  const clock = { now: () => Date.now() + aheadMs }
  const nodes = await startVoters(t, ['bob', 'carol', 'dave'], { node: { clock } })
  const [alice, bob, carol, dave] = nodes as [ConsensusNode, ConsensusNode, ConsensusNode, ConsensusNode]
  const honest = [alice, bob, carol]
  // Who has a hostile candidate is asked for it by everybody: nobody passes it on.
  for (const node of [bob, carol]) await meet(node, dave)
  await eventually(
    () => nodes.every(({ members }) => members.list().length === 4),
    'not all know all',
    WAIT_MS,
  )
  const names = Object.keys(candidates)
  for (const [name, candidate] of Object.entries(candidates)) await prepare(t, alice, name, candidate)
  const knows = ({ datasets }: ConsensusNode) => names.every((name) => datasets.find(name) !== undefined)
  await eventually(() => nodes.every(knows), 'the datasets were not heard of', WAIT_MS)
  for (const name of names) {
    for (const node of [alice, bob]) await commit(t, node, name, TRUE_ROWS)
    await commit(t, carol, name, 'id,value\n1,a\n2,lost\n3,c\n')
    await hand(t, dave, name, candidates[name] as Candidate)
  }
  const rounds = new Map<string, string>()
  for (const name of names) {
    rounds.set(name, (await alice.consensus.open(name, 'collect', { windowMs: WINDOW_MS })).id)
  }
  const told = (node: ConsensusNode, round: string) =>
    node.consensus.round(round).ballots.find(({ peer }) => peer === dave.identity.peerId)?.defect
  for (const [name, round] of rounds) {
    for (const node of honest) {
      await eventually(() => told(node, round) !== undefined, `nothing was found wrong with ${name}`, WAIT_MS)
      assert.match(told(node, round) as string, candidates[name]?.defect as RegExp, name)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: a reason goes to people's terminals
      assert.doesNotMatch(told(node, round) as string, /[\x00-\x1f\x7f]/)
    }
  }
  // The cut-off comes.
  aheadMs = WINDOW_MS
  for (const [name, round] of rounds) {
    for (const node of honest) {
      const state = () => node.consensus.round(round).state
      await eventually(() => state() === 'decided', `the round on ${name} was not decided`, WAIT_MS)
      const counted = node.consensus.round(round).ballots.filter((ballot) => ballot.counted)
      assert.deepEqual(counted.map((ballot) => ballot.name).sort(), ['alice', 'bob', 'carol'])
    }
    const commits = new Set(honest.map((node) => node.consensus.round(round).commit))
    assert.equal(commits.size, 1)
    const repository = await alice.datasets.repository(name)
    const files = await repository.listFiles([...commits][0] as string)
    const table = files.find(({ path }) => path === 'table.csv')
    assert.equal(Buffer.from(await repository.readBlob(table?.oid ?? '')).toString(), TRUE_ROWS)
  }
}

async function prepare(
  t: TestContext,
  node: ConsensusNode,
  name: string,
  { rule }: Candidate,
): Promise<void> {
  await node.datasets.importDirectory(name, await directoryOf(t, { 'README.md': 'about this\n' }))
  if (rule !== undefined) await node.datasets.edit(name, { truth: rule })
}

async function commit(
  t: TestContext,
  node: ConsensusNode,
  dataset: string,
  table: string | Buffer,
): Promise<void> {
  const directory = await directoryOf(t, { 'table.csv': table })
  await node.datasets.commitDirectory({ dataset, step: 'collect', directory, message: 'collect\n' })
}

/** Brings a hostile candidate into the member's branch, past its own node where that would not write it. */
async function hand(
  t: TestContext,
  node: ConsensusNode,
  dataset: string,
  { table, entries }: Candidate,
): Promise<void> {
  if (table !== undefined) return commit(t, node, dataset, table())
  const oid = await plantCommit((await node.datasets.repository(dataset)) as PackRepository, entries ?? [])
  await forgeHead(node, dataset, { branches: { 'collect-dave': oid } })
}
