import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HeadMark, judgeHead } from '../../../src/datasets/head-marks.ts'
import { type HeadRecord, judgeMove } from '../../../src/datasets/heads.ts'
import { belongs } from '../../../src/datasets/known-datasets.ts'
import { commitmentOf, strictest } from '../../../src/datasets/policies.ts'

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

test('a policy is made stricter by anybody’s shown word, and looser by its owner’s alone', () => {
  const claim = (author: string, policy: 'shared' | 'compute-only') => ({ author, policy })
  const [bob, eve] = [claim('bob', 'compute-only'), claim('eve', 'shared')]
  const kept = { policy: 'compute-only', owner: 'bob' } as const
  assert.deepEqual(commitmentOf(kept, eve, [eve, bob], 'me'), kept)
  assert.deepEqual(commitmentOf(kept, eve, [eve], 'me'), kept)
  const freed = claim('bob', 'shared')
  assert.deepEqual(commitmentOf(kept, freed, [freed], 'me'), { policy: 'shared', owner: 'bob' })
  // Eve's word, shown or not, frees nothing; but she may shut what bob has opened.
  const open = { policy: 'shared', owner: 'bob' } as const
  const shut = claim('eve', 'compute-only')
  assert.deepEqual(commitmentOf(open, shut, [shut, freed], 'me'), { policy: 'compute-only', owner: 'eve' })
})

test('what a node founded itself is not opened by a record in its own name that came back to it', () => {
  const mine = { policy: 'compute-only', owner: 'me' } as const
  const forged = { author: 'me', policy: 'shared' } as const
  assert.deepEqual(commitmentOf(mine, forged, [forged], 'me'), mine)
})

test('a copy belongs to a dataset of its id, or of one that was founded at the same moment', () => {
  assert.equal(belongs({ id: 'a' }, 'a', [], []), true)
  assert.equal(belongs({ id: 'a', removed: true }, 'a', [], []), true)
  assert.equal(belongs({ id: 'a' }, 'b', [], ['b', 'a']), true)
  assert.equal(belongs({ id: 'a' }, 'b', [], ['b']), false)
  assert.equal(belongs({ id: 'a' }, 'b', ['a'], ['b', 'a']), false)
  assert.equal(belongs({ id: 'a', removed: true }, 'b', [], ['b', 'a']), false)
})
