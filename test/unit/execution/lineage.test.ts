import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import { pipelineSchema } from '../../../src/execution/catalogue/pipeline.ts'
import { pinned } from '../../../src/execution/inputs/input-pins.ts'
import { changesBetween } from '../../../src/execution/lineage/comparison.ts'
import { rerunPlanOf } from '../../../src/execution/lineage/rerun.ts'
import type { Run, StepRun } from '../../../src/execution/runs/run.ts'
import { commitsNamed } from '../../../src/execution/runs/run-machine.ts'

const commit = (digit: string) => digit.repeat(40)
const sha256 = (digit: string) => digit.repeat(64)

const { steps: PLAN } = pipelineSchema.parse({
  steps: [
    {
      name: 'collect',
      tool: 'miner',
      input_dataset: 'raw',
      output_dataset: 'found',
      inputs: [{ url: 'https://example.org/a.csv' }, { dataset: 'codes' }, { text: 'n=3', name: 'p.txt' }],
      filter: { tool: 'sieve' },
    },
    { name: 'assess', tool: 'judge', input_dataset: 'found', output_dataset: 'verdict' },
  ],
})

function run(steps: Partial<StepRun>[] = [{}, {}], state: Run['state'] = 'succeeded'): Run {
  const usual: StepRun[] = [
    {
      ...{ name: 'collect', tool: 'miner', state: 'succeeded', digest: 'miner@sha256:1' },
      ...{ inputDataset: 'raw', inputCommit: commit('a'), inputFrom: 'ground-truth' },
      ...{ outputDataset: 'found', outputCommit: commit('b'), outputChanged: true },
      inputs: [
        { name: 'a.csv', kind: 'url', source: 'https://example.org/a.csv', sha256: sha256('1') },
        { name: 'codes', kind: 'dataset', source: 'codes', commit: commit('c') },
        { name: 'p.txt', kind: 'text', source: 'text', sha256: sha256('2') },
      ],
      filter: { tool: 'sieve', image: 'sieve:1', digest: 'sieve@sha256:2' },
    },
    {
      ...{ name: 'assess', tool: 'judge', state: 'succeeded', digest: 'judge@sha256:3' },
      ...{ inputDataset: 'found', inputCommit: commit('b'), inputFrom: 'this-run' },
      ...{ outputDataset: 'verdict', outputCommit: commit('d'), outputChanged: true },
    },
  ]
  return {
    ...{ id: 'r1', pipeline: 'p', trigger: { kind: 'request' }, state, plan: PLAN, slot: 5 },
    steps: usual.map((step, index) => ({ ...step, ...steps[index] })),
    ...{ transitions: [], createdMs: 0 },
  }
}

test('a rerun is pinned to every image, commit and file that the first run took', () => {
  const { steps, imageDigests, inputCommits, inputPins } = rerunPlanOf(run())
  assert.deepEqual(imageDigests, {
    miner: 'miner@sha256:1',
    sieve: 'sieve@sha256:2',
    judge: 'judge@sha256:3',
  })
  // What an earlier step made is made again, not read again.
  assert.deepEqual(inputCommits, { raw: commit('a') })
  // The plan is what was approved, word for word.
  assert.equal(steps, PLAN)
  assert.deepEqual(pinned(steps[0]?.inputs ?? [], inputPins.collect), [
    { url: 'https://example.org/a.csv', name: 'a.csv', sha256: sha256('1') },
    { dataset: 'codes', name: 'codes', commit: commit('c') },
    { text: 'n=3', name: 'p.txt' },
  ])
})

const refused: { why: string; of: Run; code: 'CONFLICT' | 'UNSUPPORTED'; says: RegExp }[] = [
  { why: 'is under way', of: run([], 'running'), code: 'CONFLICT', says: /has not ended/ },
  {
    why: 'failed before its second step',
    of: run([{}, { outputCommit: undefined as never, state: 'skipped' }], 'failed'),
    code: 'CONFLICT',
    says: /nothing to compare with at the step assess/,
  },
  {
    why: 'is a rerun itself',
    of: { ...run(), trigger: { kind: 'rerun', of: 'r0' } },
    code: 'CONFLICT',
    says: /run r0 again/,
  },
  {
    why: 'read one dataset on both sides of a new truth',
    of: run([{}, { inputFrom: 'ground-truth', inputDataset: 'raw', inputCommit: commit('e') }]),
    code: 'UNSUPPORTED',
    says: /changed in the middle of the run/,
  },
]

for (const { why, of, code, says } of refused) {
  test(`a run that ${why} is not run again`, () => {
    const seen = { ...of, steps: of.steps.map((step) => JSON.parse(JSON.stringify(step)) as StepRun) }
    assert.throws(
      () => rerunPlanOf(seen),
      (error) => isNodeError(error, code) && says.test(error.message),
    )
  })
}

test('the files that differ are told, also where only the mode does', () => {
  const file = (path: string, oid: string, mode: '100644' | '100755' = '100644') => ({ path, oid, mode })
  const before = [file('a', '1'), file('b', '2'), file('c', '3')]
  const after = [file('a', '1'), file('b', '2', '100755'), file('d', '3')]
  assert.deepEqual(changesBetween(before, after), [
    { path: 'b', change: 'changed' },
    { path: 'c', change: 'removed' },
    { path: 'd', change: 'added' },
  ])
})

test('what a run has read and begins from is kept as long as the run is remembered', () => {
  const read = {
    name: 'codes',
    kind: 'dataset' as const,
    source: 'codes@c',
    commit: commit('c'),
    dataset: 'codes',
  }
  const rerun: Run = { ...run([{ inputs: [read] }]), bases: { collect: commit('9'), assess: null } }
  assert.deepEqual(commitsNamed([rerun], 'codes'), [commit('c')])
  assert.deepEqual(commitsNamed([rerun], 'found'), [commit('b'), commit('9')])
  assert.deepEqual(commitsNamed([{ ...rerun, inputCommits: { raw: commit('e') } }], 'raw'), [
    commit('e'),
    commit('a'),
  ])
})

test('what another member asked for is not done again as this node’s own', () => {
  const theirs = { ...run(), owner: '12D3KooWAlice' }
  assert.throws(
    () => rerunPlanOf(theirs),
    (error) => isNodeError(error, 'CONFLICT') && /asked for by another member/.test(error.message),
  )
})
