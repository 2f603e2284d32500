import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  answer,
  digestRange,
  EVERYTHING,
  lacking,
  lowerBound,
  type Range,
} from '../../src/registry/ranges.ts'
import type { SealedRecord } from '../../src/registry/record.ts'
import { placeOf } from '../../src/registry/state.ts'
import { plainRecord } from '../support/records.ts'

const sorted = (records: readonly SealedRecord[]) =>
  [...records].sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1))

/** Pulls what `theirs` has as the catch-up does, and counts the questions. */
function pull(ours: readonly SealedRecord[], theirs: readonly SealedRecord[]) {
  const places: string[] = []
  const open: Range[] = [EVERYTHING]
  let questions = 0
  for (let range = open.pop(); range !== undefined; range = open.pop()) {
    questions += 1
    const answered = answer(theirs, digestRange(ours, range))
    if (answered.kind === 'list') places.push(...lacking(ours, answered.held))
    if (answered.kind === 'split') {
      open.push(...answered.parts.filter((part) => digestRange(ours, part).digest !== part.digest))
    }
  }
  return { places, questions }
}

const many = (count: number, version = 1) =>
  sorted(
    Array.from({ length: count }, (_, n) =>
      plainRecord({ key: `/tools/t${String(n).padStart(6, '0')}`, author: 'amy', version }),
    ),
  )

test('whatever two peers hold, one learns of exactly what it lacks', () => {
  const set = fc.uniqueArray(fc.integer({ min: 0, max: 600 }), { maxLength: 400 })
  fc.assert(
    fc.property(set, set, (mine, yours) => {
      const make = (numbers: number[]) =>
        sorted(numbers.map((n) => plainRecord({ key: `/tools/t${n}`, author: 'amy', version: (n % 3) + 1 })))
      const [ours, theirs] = [make(mine), make(yours)]
      const missing = theirs.filter((record) => !mine.includes(Number(record.key.slice(8)))).map(placeOf)
      assert.deepEqual(pull(ours, theirs).places.sort(), missing.sort())
    }),
    { numRuns: 300 },
  )
})

test('of ten thousand records one differs: a handful of questions finds it', () => {
  const theirs = many(10_000)
  const changed = plainRecord({ key: '/tools/t004711', author: 'amy', version: 9 })
  const newer = theirs.map((record) => (record.key === changed.key ? changed : record))
  const { places, questions } = pull(theirs, newer)
  assert.deepEqual(places, [placeOf(changed)])
  assert(questions <= 5, `${questions} questions`)
})

test('two equal registries agree after one question', () => {
  assert.equal(pull(many(1_000), many(1_000)).questions, 1)
})

test('the lower bound is the first place not before', () => {
  const records = many(50)
  for (const [index, record] of records.entries()) assert.equal(lowerBound(records, placeOf(record)), index)
  assert.equal(lowerBound(records, ''), 0)
  assert.equal(lowerBound(records, '~'), 50)
})
