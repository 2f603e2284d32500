import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import { filterStepOf } from '../../../src/execution/catalogue/filter-step.ts'
import { type PipelineStep, parsePipeline } from '../../../src/execution/catalogue/pipeline.ts'
import { checkHand } from '../../../src/execution/remote/plan-hand.ts'
import { repetitionOf } from '../../../src/execution/runs/recovery.ts'
import { endRun, newRun } from '../../../src/execution/runs/run-machine.ts'
import { lastProblemOf } from '../../../src/execution/schedules/timetable.ts'
import { askedOf, askedText, type ConsentFacts, covers } from '../../../src/execution/secrets/consent.ts'

const datasets = {
  patients: { policy: 'compute-only', record: {} },
  salaries: { policy: 'local-only', record: {} },
  results: { policy: 'shared', record: {} },
  votes: { policy: 'shared', record: { access: { read: 'members' } } },
  circle: { policy: 'shared', record: { access: { read: 'granted' } } },
} as const
const facts: ConsentFacts = {
  find: (dataset) => {
    const known = datasets[dataset as keyof typeof datasets]
    return known === undefined ? undefined : { id: `id of ${dataset}`, ...known }
  },
  findRun: (id) => (id === 'run-1' ? { steps: [{ outputDataset: 'salaries' } as never] } : undefined),
}

function stepOf(more: object): PipelineStep {
  const { pipeline } = parsePipeline([{ name: 'work', tool: 'shell', output_dataset: 'results', ...more }])
  return pipeline.steps[0] as PipelineStep
}

const asked = (step: PipelineStep, hand = { author: 'mallory' } as object) =>
  askedText(askedOf({ step, hand }, facts))

test('a step that another member wrote asks for every dataset that not all may have, by whatever way it comes to it', () => {
  const ways: [object, string][] = [
    [{}, ''],
    [{ input_dataset: 'results', inputs: [{ dataset: 'results' }, { text: 'a' }] }, ''],
    [{ input_dataset: 'patients' }, 'reads patients (compute-only)'],
    [{ inputs: [{ dataset: 'salaries' }] }, 'reads salaries (local-only)'],
    [{ inputs: [{ dataset: 'salaries', commit: 'a'.repeat(40) }] }, 'reads salaries (local-only)'],
    [{ inputs: [{ run: 'run-1' }] }, 'reads salaries (local-only)'],
    [{ inputs: [{ run: 'run-2' }] }, ''],
    [{ output_dataset: 'salaries' }, 'writes into salaries (local-only)'],
    [
      { input_dataset: 'patients', output_dataset: 'salaries' },
      'reads patients (compute-only) and writes into salaries (local-only)',
    ],
    [{ input_dataset: 'salaries', output_dataset: 'salaries' }, 'reads salaries (local-only)'],
    [{ input_dataset: 'nowhere' }, ''],
    [{ input_dataset: 'votes' }, ''],
    [{ input_dataset: 'circle' }, 'reads circle (for members with a grant alone)'],
    [{ output_dataset: 'circle' }, 'writes into circle (for members with a grant alone)'],
    [
      { input_dataset: 'patients', env: { TOKEN: '{{ MAO_PRIVATE_VARIABLE }}' } },
      'asks for secrets of this node (TOKEN) and reads patients (compute-only)',
    ],
  ]
  for (const [more, text] of ways) assert.equal(asked(stepOf(more)), text, JSON.stringify(more))
})

test('what this node’s own people wrote asks for secrets alone, and of another’s run the data are judged elsewhere', () => {
  const step = stepOf({ input_dataset: 'patients', env: { TOKEN: '{{ MAO_PRIVATE_VARIABLE }}' } })
  assert.equal(asked(step, {}), 'asks for secrets of this node (TOKEN)')
  assert.equal(asked(step, { owner: 'node' }), 'asks for secrets of this node (TOKEN)')
  assert.equal(asked(step, { owner: 'mallory' }), 'asks for secrets of this node (TOKEN)')
  const rerun = { owner: 'node', author: 'mallory' }
  assert.match(asked(step, rerun), /reads patients/)
})

test('a filter asks for what its step works on, with variables of its own', () => {
  const filter = { tool: 'check', env: { KEY: '{{ MAO_PRIVATE_VARIABLE }}' } }
  const step = stepOf({ input_dataset: 'patients', env: { TOKEN: '{{ MAO_PRIVATE_VARIABLE }}' }, filter })
  const { variables, datasets } = askedOf(
    { step, filter: filterStepOf(step), hand: { author: 'mallory' } },
    facts,
  )
  assert.deepEqual(variables, ['KEY'])
  assert.deepEqual(
    datasets.map(({ dataset }) => dataset),
    ['patients'],
  )
})

test('an approval covers the datasets that it named, and no other that has come by a name', () => {
  const { datasets } = askedOf(
    {
      step: stepOf({ input_dataset: 'patients', inputs: [{ dataset: 'salaries' }] }),
      hand: { author: 'm' },
    },
    facts,
  )
  const both = { patients: 'id of patients', salaries: 'id of salaries' }
  assert(covers(both, { datasets }))
  assert(covers(undefined, { datasets: [] }))
  assert(covers(both, { datasets: [] }))
  assert(!covers(undefined, { datasets }))
  // What was written stayed, and now it goes to all.
  assert(!covers(both, { datasets: datasets.slice(0, 1) }))
  assert(!covers({ patients: 'id of patients' }, { datasets }))
  assert(!covers({ ...both, patients: 'id of an earlier one' }, { datasets }))
})

test('what was granted to this node goes into no run elsewhere that another member wrote', () => {
  const check = (step: object, author?: string) => () =>
    checkHand('nightly', [stepOf({}), stepOf(step)], author, facts.find)
  const refused = (error: unknown) => isNodeError(error, 'FORBIDDEN') && /mallory.*circle/.test(error.message)
  assert.throws(check({ input_dataset: 'circle' }, 'mallory'), refused)
  assert.throws(check({ output_dataset: 'circle' }, 'mallory'), refused)
  check({ input_dataset: 'circle' })()
  // Of data that do not leave, their holder judges the tool.
  check({ input_dataset: 'patients' }, 'mallory')()
})

test('a repetition is by the same hand as its run', () => {
  const terms = { author: 'mallory' }
  const trigger = { kind: 'schedule', slot: 1_000 } as const
  const run = newRun({ id: 'a', pipeline: 'p', plan: [stepOf({})], trigger, timeMs: 1_000, terms })
  const lost = endRun(run, 'rejected', { timeMs: 2_000, reason: 'not approved', code: 'FORBIDDEN' })
  assert.equal(repetitionOf(lost, 'b', 3_000).author, 'mallory')
  // It is also what the schedule tells, until something else is in its way.
  const problem = lastProblemOf(undefined, [lost])
  const told = { slot: 1_000, timeMs: 2_000, kind: 'refused', code: 'FORBIDDEN', reason: 'not approved' }
  assert.deepEqual(problem, told)
  const later = { slot: 5_000, timeMs: 5_000, kind: 'missed', reason: 'away' } as const
  assert.equal(lastProblemOf(later, [lost]), later)
  assert.deepEqual(lastProblemOf({ ...later, timeMs: 1_500 }, [lost]), told)
  assert.equal(lastProblemOf(later, [run]), later)
})
