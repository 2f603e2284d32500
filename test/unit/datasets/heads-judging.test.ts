import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HeadMark, judgeHead } from '../../../src/datasets/head-marks.ts'
import { type HeadRecord, judgeMove } from '../../../src/datasets/heads.ts'
import { belongs } from '../../../src/datasets/name-claims.ts'
import {
  commitmentOf,
  type PolicyClaim,
  type PolicyWords,
  strictest,
} from '../../../src/datasets/policies.ts'

const oid = (digit: string) => digit.repeat(40)
const head = (sequence?: number): HeadRecord => {
  return { branches: {}, previous: null, ...(sequence === undefined ? {} : { sequence }) }
}
const mark = (sequence: number, hash: string): HeadMark => {
  return { sequence, hash, resets: {} }
}

test('a head is followed when it is new, or is the one that was followed last', () => {
  assert.equal(judgeHead(head(1), 'a', true, undefined), 'follow')
  assert.equal(judgeHead(head(3), 'b', true, mark(1, 'a')), 'follow')
  assert.equal(judgeHead(head(3), 'b', true, mark(3, 'b')), 'follow')
})

test('a head that is older than one that was here never counts again', () => {
  assert.equal(judgeHead(head(2), 'a', true, mark(3, 'b')), 'replayed')
  assert.equal(judgeHead(head(), 'a', true, mark(3, 'b')), 'replayed')
})

test('a head about another dataset counts nothing, however new it is', () => {
  assert.equal(judgeHead(head(9), 'a', false, undefined), 'other-dataset')
  assert.equal(judgeHead(head(9), 'a', false, mark(3, 'b')), 'other-dataset')
})

test('two heads in one place contradict each other, unless nobody counted', () => {
  assert.equal(judgeHead(head(3), 'a', true, mark(3, 'b')), 'equivocal')
  assert.equal(judgeHead(head(), 'a', true, mark(0, 'b')), 'follow')
})

test('an excuse moves a branch where it could not go by itself, and changes nothing elsewhere', () => {
  const kin = { held: oid('1'), announced: oid('2'), heldIsAncestor: false, announcedIsAncestor: true }
  assert.equal(judgeMove(kin), 'refuse-rollback')
  assert.equal(judgeMove({ ...kin, excuse: 'reset' }), 'reset')
  assert.equal(judgeMove({ ...kin, announcedIsAncestor: false, excuse: 'equivocation' }), 'equivocation')
  assert.equal(judgeMove({ ...kin, heldIsAncestor: true, excuse: 'reset' }), 'forward')
  assert.equal(judgeMove({ ...kin, held: undefined, excuse: 'reset' }), 'forward')
  assert.equal(judgeMove({ ...kin, held: oid('2'), excuse: 'reset' }), 'nothing')
})

test('of policies the strictest counts', () => {
  assert.equal(strictest('shared', 'compute-only'), 'compute-only')
  assert.equal(strictest('compute-only', 'local-only', 'shared'), 'local-only')
  assert.equal(strictest(), 'shared')
})

const claim = (author: string, policy: 'shared' | 'compute-only') => ({ author, policy })
/** What counts where `founder` founded a dataset and `shown` decides what it is. */
const words = (founder: PolicyClaim, shown = founder, more: Partial<PolicyWords> = {}): PolicyWords => {
  return { kept: undefined, founder, shown, claims: [shown, founder], own: undefined, self: 'me', ...more }
}

test('a policy is made stricter by its founder or an operator, and looser by whose word it is alone', () => {
  const [open, shut] = [claim('bob', 'shared'), claim('bob', 'compute-only')]
  const [op, opened] = [claim('op', 'compute-only'), claim('op', 'shared')]
  const kept = { policy: 'compute-only', owner: 'bob' } as const
  assert.deepEqual(commitmentOf(words(shut)), kept)
  assert.deepEqual(commitmentOf(words(shut, opened, { kept })), kept)
  assert.deepEqual(commitmentOf(words(open, open, { kept })), { policy: 'shared', owner: 'bob' })
  const byOperator = { policy: 'compute-only', owner: 'op' } as const
  assert.deepEqual(commitmentOf(words(open, op, { kept: { policy: 'shared', owner: 'bob' } })), byOperator)
  assert.deepEqual(commitmentOf(words(open, op, { kept: byOperator })), byOperator)
  assert.equal(commitmentOf(words(open, opened, { kept: byOperator })).policy, 'shared')
})

test('what a node founded itself is not opened by a record in its own name that came back to it', () => {
  const mine = { policy: 'compute-only', owner: 'me' } as const
  assert.deepEqual(commitmentOf(words(claim('me', 'shared'), undefined, { kept: mine })), mine)
})

test('what a node founded under a name is the least that it keeps of whatever has that name', () => {
  const [eve, own] = [claim('eve', 'shared'), claim('me', 'compute-only')]
  assert.deepEqual(commitmentOf(words(eve, eve, { own })), { policy: 'compute-only', owner: 'me' })
  assert.deepEqual(commitmentOf(words(eve, eve, { own: claim('me', 'shared') })).owner, 'eve')
})

test('a copy belongs to a dataset of its id, or of one that was founded at the same moment', () => {
  const decided = (ids: readonly string[], former: readonly string[] = []) => {
    const [shown = { id: '' }, ...others] = ids.map((id) => ({ id }))
    return { shown, counting: [shown, ...others], former }
  }
  assert.equal(belongs({ id: 'a' }, decided(['a'])), true)
  assert.equal(belongs({ id: 'a', removed: true }, decided(['a'])), true)
  assert.equal(belongs({ id: 'a' }, decided(['b', 'a'])), true)
  assert.equal(belongs({ id: 'a' }, decided(['b'])), false)
  assert.equal(belongs({ id: 'a' }, decided(['b', 'a'], ['a'])), false)
  assert.equal(belongs({ id: 'a', removed: true }, decided(['b', 'a'])), false)
})
