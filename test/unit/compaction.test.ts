import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HOUR_MS, historyBytesMax, historyChangesMax } from '../../src/base/limits.ts'
import { compactionTarget, type Mark } from '../../src/registry/compaction.ts'

/** A history in which every change has a revision of its own. */
function historyOf(revision: number, compacted: number, replacedBytes = 0) {
  const changes = revision - compacted
  return {
    compacted,
    changes,
    replacedBytes,
    revisionBefore: (count: number) => (count < changes ? revision - count : 0),
  }
}
const marksOf = (...marks: readonly (readonly [number, number])[]): Mark[] =>
  marks.map(([atMs, revision]) => ({ atMs, revision }))
const nowMs = 100 * HOUR_MS

test('what was replaced longer ago than it is kept goes', () => {
  const marks = marksOf([nowMs - 3 * HOUR_MS, 10], [nowMs - HOUR_MS, 20], [nowMs - HOUR_MS + 1, 30])
  assert.equal(compactionTarget(historyOf(40, 5), marks, HOUR_MS, nowMs), 20)
  assert.equal(compactionTarget(historyOf(40, 5), marks, 2 * HOUR_MS, nowMs), 10)
})

test('nothing goes while all is young, or gone already', () => {
  const marks = marksOf([nowMs - HOUR_MS, 20])
  assert.equal(compactionTarget(historyOf(40, 0), marks, HOUR_MS + 1, nowMs), undefined)
  assert.equal(compactionTarget(historyOf(40, 20), marks, HOUR_MS, nowMs), undefined)
  assert.equal(compactionTarget(historyOf(0, 0), [], HOUR_MS, nowMs), undefined)
})

test('a history that outgrows its bounds loses its older half, however young', () => {
  const long = historyOf(historyChangesMax + 1, 0)
  assert.equal(compactionTarget(long, [], HOUR_MS, nowMs), historyChangesMax / 2 + 1)
  assert.equal(compactionTarget(historyOf(historyChangesMax, 0), [], HOUR_MS, nowMs), undefined)
  assert.equal(compactionTarget(historyOf(1_000, 0, historyBytesMax + 1), [], HOUR_MS, nowMs), 500)
})

test('a target is always one that can be compacted at, never above what is old or the older half', () => {
  const figures = fc.record({
    revision: fc.nat(2 * historyChangesMax),
    compacted: fc.nat(2 * historyChangesMax),
    bytes: fc.constantFrom(0, historyBytesMax, historyBytesMax + 1),
  })
  const gaps = fc.array(fc.tuple(fc.nat(HOUR_MS), fc.nat(1_000)), { maxLength: 8 })
  fc.assert(
    fc.property(figures, gaps, fc.nat(4 * HOUR_MS), ({ revision, compacted, bytes }, steps, keepMs) => {
      fc.pre(compacted <= revision)
      const marks: Mark[] = []
      let [atMs, counted] = [nowMs - 4 * HOUR_MS, 0]
      for (const [ms, changes] of steps) {
        atMs += ms
        counted = Math.min(revision, counted + changes)
        marks.push({ atMs, revision: counted })
      }
      const history = historyOf(revision, compacted, bytes)
      const target = compactionTarget(history, marks, keepMs, nowMs)
      const old = Math.max(
        0,
        ...marks.filter((mark) => mark.atMs <= nowMs - keepMs).map((mark) => mark.revision),
      )
      const outgrown = history.changes > historyChangesMax || bytes > historyBytesMax
      if (target === undefined) {
        assert(old <= compacted)
        // Of two changes one can go.
        if (outgrown) assert(history.changes < 2)
        return
      }
      assert(target > compacted && target <= revision)
      if (!outgrown) assert.equal(target, old)
      else assert(target >= old && revision - target < Math.max(revision - old, historyChangesMax))
    }),
    { numRuns: 2_000 },
  )
})
