import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { type DatasetDetail, datasetDetailSchema } from '../../src/api/dataset-views.ts'
import { branchTo } from '../../src/cli/dataset-push.ts'
import { commitMeant } from '../../src/cli/dataset-reset.ts'
import { datasetText } from '../../src/cli/dataset-text.ts'
import { Output } from '../../src/cli/output.ts'

const [A, B] = ['a'.repeat(40), 'b'.repeat(40)]
const out = new Output({ stdout: new PassThrough(), stderr: new PassThrough(), json: false, environment: {} })

const ODD: DatasetDetail = datasetDetailSchema.parse({
  name: 'data',
  id: 'c'.repeat(32),
  description: 'all that can be odd\u001b[2J',
  policy: 'shared',
  createdBy: 'alice',
  truth: A,
  followed: true,
  why: 'one of 3 wanted replicas',
  replicated: false,
  replicas: {
    wanted: 3,
    actual: 2,
    current: 1,
    members: [
      { member: 'alice', complete: true, current: true, bytes: 2_048 },
      { member: 'bob', complete: false, current: false, bytes: 10 },
    ],
  },
  branches: [
    { branch: 'x-alice', commit: A, member: 'alice', announced: false, present: true },
    { branch: 'x-bob', commit: B, member: 'bob', announced: true, present: false },
  ],
  failures: [
    { member: 'bob', code: 'QUOTA_EXCEEDED', reason: 'too much\u001b[2J', attempts: 3, nextAttemptMs: 0 },
  ],
  refusals: [{ member: 'carol', branch: 'x-bob', announced: A, reason: 'not-owner' }],
  resets: [{ member: 'bob', branch: 'x-bob', count: 2, from: A, to: B, reason: 'wrong unit\u001b[2J' }],
  equivocations: [
    {
      member: 'bob',
      sequence: 5,
      heads: [
        { hash: 'x', branches: { 'x-bob': A } },
        { hash: 'y', branches: { 'x-bob': B } },
      ],
    },
  ],
  contested: [],
  ignored: [{ member: 'carol', reason: 'replayed', dataset: 'd', sequence: 7 }],
  usage: { bytes: 2_048, objects: 1, quotaBytes: 2_048, full: 'quota' },
})

test('whatever is odd of a dataset is shown, and nothing of it steers a terminal', () => {
  const text = datasetText(out, ODD)
  const lines = [
    /^copied here: +yes: one of 3 wanted replicas$/m,
    /^replicated: +not all that was announced is here: QUOTA_EXCEEDED, see below$/m,
    /^held up: the branches of bob: too much\ufffd\[2J \(QUOTA_EXCEEDED, failed 3 times; next attempt 1970-.*\)$/m,
    /^refused: x-bob at a{10}, announced by carol, is not that member's to move$/m,
    /^copies: +2 of 3 wanted beside its owner, 1 of them up to date$/m,
    /^on this disk: 2\.0 KiB of 2\.0 KiB allowed in 1 object; it is full, and nothing more comes in$/m,
    /^x-alice +a{10} +alice +only here$/m,
    /^x-bob +b{10} +bob +not yet$/m,
    /^bob +part +behind +10 bytes$/m,
    /^rewritten: bob moved x-bob from a{10} to b{10}, 2 times so far: wrong unit\ufffd\[2J$/m,
    /^contradiction: bob signed two heads as its number 5: x-bob at a{10} and x-bob at b{10}$/m,
    /^not followed: head 7 of carol: it is older than one that was here$/m,
  ]
  for (const line of lines) assert.match(text, line)
  assert.ok(!text.includes('\u001b'))
  const secret = datasetText(out, { ...ODD, policy: 'compute-only', livesAt: 'alice' })
  assert.match(secret, /^lives at: +alice$/m)
  assert.doesNotMatch(secret, /^copies:/m)
})

test('a push goes to the branch that is named, or that is checked out, or asks', () => {
  assert.equal(branchTo('fix', 'ground-truth', 'alice'), 'fix-alice')
  assert.equal(branchTo(undefined, 'fix', 'alice'), 'fix-alice')
  assert.equal(branchTo(undefined, 'fix-alice', 'alice'), 'fix-alice')
  for (const here of ['ground-truth', undefined, 'Fix', 'feature/x']) {
    assert.throws(() => branchTo(undefined, here, 'alice'), {
      code: 'INVALID_INPUT',
      message: /STEP-alice then/,
    })
  }
})

test('a commit is meant by as much of its id as tells it from others', () => {
  const known = [A, `aaaab${'0'.repeat(35)}`, B]
  assert.equal(commitMeant(B.toUpperCase(), known, 'x'), B)
  assert.equal(commitMeant('BBBB', known, 'x'), B)
  assert.equal(commitMeant('aaaab', known, 'x'), known[1])
  assert.throws(() => commitMeant('aaaa', known, 'x'), {
    code: 'COMMIT_NOT_FOUND',
    message: /2 commits of x begin/,
  })
  assert.throws(() => commitMeant('cccc', known, 'x'), {
    code: 'COMMIT_NOT_FOUND',
    message: /None of the last/,
  })
  for (const typed of ['HEAD', 'bbb', '-b', '']) {
    assert.throws(() => commitMeant(typed, known, 'x'), { code: 'INVALID_INPUT' })
  }
})
