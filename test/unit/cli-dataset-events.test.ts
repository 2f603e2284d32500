import assert from 'node:assert/strict'
import { test } from 'node:test'
import { datasetEventText } from '../../src/cli/dataset-event-text.ts'
import type { DatasetEvent } from '../../src/datasets/dataset-events.ts'

const [A, B] = ['a'.repeat(40), 'b'.repeat(40)]
const about = { dataset: 'data', member: 'bob' } as const

/** One of every kind: a kind that is added without a line here does not compile. */
const EVENTS: {
  readonly [T in DatasetEvent['type']]: readonly [Extract<DatasetEvent, { type: T }>, RegExp]
} = {
  head: [{ type: 'head', ...about, branches: { 'x-bob': A } }, /bob announces x-bob at aaaaaaaaaa$/],
  replicated: [{ type: 'replicated', ...about, branch: 'x-bob', commit: A }, /x-bob of bob is here/],
  progress: [
    { type: 'progress', ...about, phase: 'receiving', bytes: 2_048, objectsTotal: 7 },
    /receiving 2\.0 KiB of a pack of 7 objects from bob/,
  ],
  'fetch-failed': [
    { type: 'fetch-failed', ...about, code: 'PEER_UNREACHABLE', reason: 'gone', nextAttemptMs: 500 },
    /gone \(PEER_UNREACHABLE\); tried again in 500 ms/,
  ],
  'rollback-refused': [
    { type: 'rollback-refused', ...about, branch: 'x-bob', announced: A, held: B, reason: 'rollback' },
    /it goes back; x-bob stays at bbbbbbbbbb, not aaaaaaaaaa/,
  ],
  'head-ignored': [
    { type: 'head-ignored', ...about, reason: 'replayed', sequence: 3 },
    /head 3 of bob is not followed: it is older/,
  ],
  reset: [
    { type: 'reset', ...about, branch: 'x-bob', from: A, to: B, count: 1, reason: 'wrong unit' },
    /bob has rewritten x-bob, from aaaaaaaaaa to bbbbbbbbbb: wrong unit/,
  ],
  equivocation: [
    { type: 'equivocation', ...about, sequence: 4, hashes: ['x', 'y'] },
    /two heads .* number 4/,
  ],
  founded: [{ type: 'founded', dataset: 'data', id: 'x', policy: 'shared' }, /there is this dataset now/],
  removed: [{ type: 'removed', dataset: 'data' }, /was removed/],
  followed: [
    { type: 'followed', dataset: 'data', followed: false, why: 'not wanted here' },
    /no longer copied here: not wanted here/,
  ],
  truth: [{ type: 'truth', dataset: 'data', commit: A }, /ground truth is aaaaaaaaaa now/],
  'garbage-collected': [
    { type: 'garbage-collected', dataset: 'data', bytesBefore: 4_096, bytesAfter: 1_024, durationMs: 12.4 },
    /4\.0 KiB → 1\.0 KiB in 12 ms/,
  ],
  'quota-exceeded': [
    { type: 'quota-exceeded', dataset: 'data', bound: 'total', bytes: 2_048, bytesMax: 1_024 },
    /all datasets together \(datasets\.totalBytes\) may have 1\.0 KiB/,
  ],
  'disk-low': [
    { type: 'disk-low', dataset: 'data', freeBytes: 10, freeBytesMin: 20 },
    /the disk has 10 bytes left, and 20 bytes stay free/,
  ],
  upstream: [
    { type: 'upstream', dataset: 'data', direction: 'pull', code: 'UPSTREAM_FAILED', reason: 'no key fits' },
    /could not be pulled from its upstream: no key fits \(UPSTREAM_FAILED\)/,
  ],
}

test('every event of a dataset is one line that people can read', () => {
  for (const [type, [event, expected]] of Object.entries(EVENTS)) {
    const text = datasetEventText(event)
    assert.match(text ?? '', expected, type)
    assert.ok(text?.startsWith('data: ') && !text.includes('\n') && !text.includes('undefined'), text)
  }
  assert.equal(datasetEventText({ type: 'weather', dataset: 'data' } as unknown as DatasetEvent), undefined)
})
