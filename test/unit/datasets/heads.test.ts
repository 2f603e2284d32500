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

const ID = 'd'.repeat(32)
const bytesOf = (head: unknown) => new TextEncoder().encode(JSON.stringify(head))

test('a head names its dataset, its predecessor and its place, and keeps the other branches', () => {
  const first = nextHead(undefined, ID, 0, { branches: { 'a-alice': oid('1') } })
  assert.deepEqual(first, { dataset: ID, sequence: 1, branches: { 'a-alice': oid('1') }, previous: null })
  const value = bytesOf(first)
  const second = nextHead({ head: first, value }, ID, 1, { branches: { 'b-alice': oid('2') } })
  assert.deepEqual(second.branches, { 'a-alice': oid('1'), 'b-alice': oid('2') })
  assert.deepEqual([second.sequence, second.previous], [2, headHash(value)])
  // What its author has used before is not used again, also when the registry has lost it.
  assert.equal(nextHead(undefined, ID, 7, { branches: {} }).sequence, 8)
})

test('a head keeps the last reset of each branch, and no word on size or truth that is not said again', () => {
  const reset = { count: 1, from: oid('1'), to: oid('2'), reason: 'wrong column' }
  const [branches, size] = [{ 'a-alice': oid('2') }, { bytes: 9, files: 1 }]
  const first = nextHead(undefined, ID, 3, { branches, resets: { 'a-alice': reset }, truth: oid('2'), size })
  const second = nextHead({ head: first, value: bytesOf(first) }, ID, 4, {
    branches: { 'b-alice': oid('3') },
  })
  assert.deepEqual(second.resets, { 'a-alice': reset })
  assert.deepEqual([second.truth, second.size], [undefined, undefined])
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
  const ask = { round: 0, countMax: 5, holds: () => true }
  assert.deepEqual(candidates('author', connected, ask), ['author', 'a', 'b', 'c'])
  assert.deepEqual(candidates('author', connected, { ...ask, round: 1 }), ['author', 'b', 'c', 'a'])
  assert.deepEqual(candidates('away', connected, { ...ask, countMax: 2 }), ['a', 'author'])
  assert.deepEqual(candidates(undefined, [], { ...ask, round: 3 }), [])
})

test('others are asked at once if they hold something of it, and later in any case', () => {
  const connected = ['c', 'a', 'b', 'author']
  const holds = (peer: string) => peer === 'c'
  const ask = { round: 0, countMax: 5, holds }
  assert.deepEqual(candidates('author', connected, ask), ['author', 'c'])
  assert.deepEqual(candidates('author', connected, { ...ask, holds: () => false }), ['author'])
  assert.deepEqual(candidates('away', ['a', 'b'], ask), ['a', 'b'])
  assert.deepEqual(candidates('author', connected, { ...ask, urgent: true }), ['author', 'c', 'a', 'b'])
  assert.deepEqual(candidates('author', connected, { ...ask, round: 1 }), ['author', 'b', 'c', 'a'])
  assert.deepEqual(candidates('author', connected, { ...ask, round: 2 }), ['author', 'c', 'a', 'b'])
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
