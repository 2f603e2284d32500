import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError } from '../../src/base/errors.ts'
import { adaptiveOf, toleranceOf } from '../../src/cli/dataset-rule.ts'
import { methodName } from '../../src/cli/rule-text.ts'
import { changedRules, type RuleWishes, withoutRule, withRule } from '../../src/datasets/rule-changes.ts'
import { type TruthRule, truthRulesSchema } from '../../src/datasets/truth-rule.ts'

const ROWS: TruthRule = { method: { name: 'rows', key: ['id'], files: ['x/*.csv'] } }

test('what is said of a rule changes that alone; another method takes over how entries are named', () => {
  const rows = changedRules(undefined, undefined, { method: 'rows', key: ['id'], files: ['x/*.csv'] })
  assert.deepEqual(rows, { all: ROWS })
  assert.deepEqual(changedRules(rows, undefined, { ballots: 'hand' }), { all: { ...ROWS, ballots: 'hand' } })
  const numeric = changedRules(rows, 'assess', { method: 'numeric', tolerance: { relative: 0.01 } })
  assert.deepEqual(numeric.all, ROWS)
  assert.deepEqual(numeric.steps?.assess?.method, {
    ...ROWS.method,
    name: 'numeric',
    tolerance: { relative: 0.01 },
  })
  const back = changedRules(rows, undefined, { method: 'identical' })
  assert.deepEqual(back.all, { method: { name: 'identical' } })
  const adaptive = changedRules(rows, undefined, { adaptive: { proven: 3, checks: 4 } })
  assert.deepEqual(changedRules(adaptive, undefined, { adaptive: null }), rows)
  for (const rules of [rows, numeric, adaptive]) assert.deepEqual(truthRulesSchema.parse(rules), rules)
})

test('a rule is taken back for one step or for all', () => {
  const rules = withRule(withRule(undefined, undefined, ROWS), 'assess', { method: { name: 'strangeness' } })
  assert.deepEqual(withoutRule(rules, 'assess'), { all: ROWS })
  assert.deepEqual(withoutRule(rules, 'collect'), rules)
  assert.deepEqual(withoutRule(rules, undefined), {})
})

test('a rule that would never do what it says is refused with what to type', () => {
  const rows = { all: ROWS }
  const mistakes: [RuleWishes, RegExp][] = [
    [{ method: 'rows' }, /rows compares entry by entry .*--key COLUMN/],
    [{ method: 'numeric', key: ['id'] }, /--tolerance 0\.01 .*--tolerance 1%/],
    [{ method: 'numeric', key: ['id'], tolerance: {} }, /--tolerance/],
    [
      { key: ['id'] },
      /identical looks at no --key; the methods that do are rows, numeric, weighted, dawid-skene/,
    ],
    [{ method: 'rows', key: ['id'], tolerance: { absolute: 1 } }, /rows looks at no --tolerance.* numeric/],
    [{ method: 'rows', key: ['id', 'id'] }, /--key names "id" twice/],
    [{ method: 'dawid-skene', key: ['id'], columns: ['label', 'id'] }, /"id" cannot be both/],
    [{ method: 'weighted', files: ['*.csv'] }, /add --key/],
    [{ ballots: 'hand', adaptive: { proven: 5, checks: 10 } }, /choose --by-hand or --adaptive/],
  ]
  for (const [wishes, told] of mistakes) {
    assert.throws(
      () => changedRules(undefined, undefined, wishes),
      (error) => isNodeError(error, 'INVALID_INPUT') && told.test(error.message),
      JSON.stringify(wishes),
    )
  }
  assert.doesNotThrow(
    () => changedRules(rows, undefined, { method: 'dawid-skene' }),
    'it keeps the key of the rule before',
  )
})

test('tolerances and repetitions are read as people type them', () => {
  assert.deepEqual(toleranceOf('0.01'), { absolute: 0.01 })
  assert.deepEqual(toleranceOf('1%'), { relative: 0.01 })
  assert.deepEqual(toleranceOf('0, 2.5%'), { absolute: 0, relative: 0.025 })
  for (const wrong of ['', 'x', '-1', '1,2', '101%', '1 %%']) assert.throws(() => toleranceOf(wrong), wrong)
  assert.deepEqual(adaptiveOf('10/20'), { proven: 10, checks: 20 })
  for (const wrong of ['10', '10/', 'a/b', '1.5/3']) assert.throws(() => adaptiveOf(wrong), wrong)
  assert.equal(
    methodName({ name: 'numeric', key: ['site', 'day'], tolerance: { absolute: 0.5, relative: 0.07 } }),
    'numeric (key site,day; within 0.5 or 7%)',
  )
})
