import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isName } from '../../../src/base/names.ts'
import { branchOf, isReservedStep, ownerOfBranch, stepFor } from '../../../src/datasets/branches.ts'
import { isBranch } from '../../../src/datasets/git/git-directory.ts'
import { checkFits } from '../../../src/datasets/own-branch-rules.ts'

const ALICE = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp'
const CAROL = '12D3KooWHdiAxVd8uMQR1hGWXccidmfCwLqcMpGwR6QcTP6QRMuD'

test('what is made for another member has a branch of its own at the host, told apart by who asked and by the step', () => {
  assert.equal(stepFor(ALICE, 'collect'), 'for.da83a70c97f3d30b.collect')
  assert.notEqual(stepFor(ALICE, 'collect'), stepFor(CAROL, 'collect'))
  const step = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,61}[a-z0-9]$/).filter(isName)
  fc.assert(
    fc.property(step, step, (a, b) => {
      const [name, branch] = [stepFor(ALICE, a), branchOf(stepFor(ALICE, a), 'bob')]
      assert(isName(name) && isReservedStep(name) && isBranch(branch), name)
      assert.equal(ownerOfBranch(branch, ['alice', 'bob']), 'bob')
      assert.equal(name === stepFor(ALICE, b), a === b)
    }),
  )
  assert(!isReservedStep('forecast') && !isReservedStep('collect'))
})

test('results for others take up no more than half of a head, and those for one member no more than a quarter', () => {
  const own = Array.from({ length: 20 }, (_, index) => `own${index}-bob`)
  const made = (asker: string, count: number) =>
    Array.from({ length: count }, (_, index) => branchOf(stepFor(asker, `s${index}`), 'bob'))
  const next = (asker: string) => [branchOf(stepFor(asker, 'next'), 'bob')]
  checkFits('results', [...own, ...made(ALICE, 15)], next(ALICE))
  assert.throws(() => checkFits('results', [...own, ...made(ALICE, 16)], next(ALICE)), /for one member/)
  checkFits('results', [...own, ...made(ALICE, 16)], made(ALICE, 1))
  checkFits('results', [...own, ...made(ALICE, 16)], next(CAROL))
  const all = ['a', 'b', 'c', 'd'].flatMap((asker) => made(asker, 8))
  assert.throws(() => checkFits('results', all, next(CAROL)), /for other members/)
  checkFits('results', all, ['more-bob'])
})
