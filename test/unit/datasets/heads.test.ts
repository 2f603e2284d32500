import assert from 'node:assert/strict'
import { test } from 'node:test'
import { branchesPerHeadMax } from '../../../src/base/limits.ts'
import { initialTruth } from '../../../src/datasets/dataset-record.ts'
import {
  candidates,
  foreignBranches,
  headHash,
  headSchema,
  judgeMove,
  nextHead,
  retryPauseMs,
} from '../../../src/datasets/heads.ts'

const oid = (digit: string) => digit.repeat(40)

test('a head names its predecessor and keeps the other branches', () => {
  const first = nextHead(undefined, 'a-alice', oid('1'))
  assert.deepEqual(first, { branches: { 'a-alice': oid('1') }, previous: null })
  const value = new TextEncoder().encode(JSON.stringify(first))
  const second = nextHead({ head: first, value }, 'b-alice', oid('2'))
  assert.deepEqual(second.branches, { 'a-alice': oid('1'), 'b-alice': oid('2') })
  assert.equal(second.previous, headHash(value))
})

test('a head that cannot be one does not fit the schema', () => {
  const previous = null
  assert.ok(headSchema.safeParse({ branches: { 'a-alice': oid('1') }, previous }).success)
  const many = Object.fromEntries(
    Array.from({ length: branchesPerHeadMax + 1 }, (_, i) => [`s${i}-a`, oid('1')]),
  )
  for (const wrong of [
    { branches: { '../x': oid('1') }, previous },
    { branches: { '-x': oid('1') }, previous },
    { branches: { 'a-alice': 'HEAD' }, previous },
    { branches: { 'a-alice': '--upload-pack=x' }, previous },
    { branches: many, previous },
    { branches: {} },
    { branches: {}, previous: 'x' },
  ]) {
    assert.equal(headSchema.safeParse(wrong).success, false, JSON.stringify(wrong).slice(0, 80))
  }
})

test('one foreign branch is found among many', () => {
  const head = {
    branches: { 'a-alice': oid('1'), 'a-bob': oid('2'), 'ground-truth': oid('3') },
    previous: null,
  }
  assert.deepEqual(foreignBranches(head, 'alice', ['alice', 'bob']), ['a-bob', 'ground-truth'])
})

test('a branch moves forward and in no other way', () => {
  const no = { heldIsAncestor: false, announcedIsAncestor: false }
  const [held, announced] = [oid('1'), oid('2')]
  assert.equal(judgeMove({ held, announced: held, ...no }), 'nothing')
  assert.equal(judgeMove({ held: undefined, announced, ...no }), 'forward')
  assert.equal(judgeMove({ held, announced, ...no, heldIsAncestor: true }), 'forward')
  assert.equal(judgeMove({ held, announced, ...no, announcedIsAncestor: true }), 'refuse-rollback')
  assert.equal(judgeMove({ held, announced, ...no }), 'refuse-divergence')
})

test('pauses double up to the longest and stay there', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 1_000].map((n) => retryPauseMs(n, 500, 3_000)),
    [500, 1_000, 2_000, 3_000, 3_000, 3_000],
  )
})

test('the author is asked first, then the others in turn', () => {
  const connected = ['c', 'a', 'b', 'author']
  assert.deepEqual(candidates('author', connected, 0, 5), ['author', 'a', 'b', 'c'])
  assert.deepEqual(candidates('author', connected, 1, 5), ['author', 'b', 'c', 'a'])
  assert.deepEqual(candidates('away', connected, 0, 2), ['a', 'author'])
  assert.deepEqual(candidates(undefined, [], 3, 5), [])
})

test('the truth begins where the chosen claim began, and only an unchosen beginning is left again', () => {
  const [mine, other, agreed] = [oid('1'), oid('2'), oid('3')]
  assert.equal(initialTruth(undefined, []), undefined)
  assert.equal(initialTruth(undefined, [mine]), mine)
  assert.equal(initialTruth(mine, [mine, other]), undefined)
  assert.equal(initialTruth(other, [mine, other]), mine)
  assert.equal(initialTruth(agreed, [mine, other]), undefined)
  assert.equal(initialTruth(other, [undefined, other]), undefined)
})
