import assert from 'node:assert/strict'
import { test } from 'node:test'
import { upstreamPauseMaxMs } from '../../../src/base/limits.ts'
import { lackOfConsent, nextCall, untilCall } from '../../../src/datasets/upstream/upstream-memory.ts'

test('consent is to one address and one branch for one dataset', () => {
  const agreed = { url: 'https://a.org/x', branch: 'main', id: 'a'.repeat(32) }
  assert.equal(lackOfConsent(agreed, { ...agreed }), undefined)
  assert.equal(lackOfConsent(undefined, agreed), 'never-asked')
  const other = { ...agreed, id: 'b'.repeat(32) }
  assert.equal(lackOfConsent(agreed, other), 'never-asked', 'another dataset has the name')
  assert.equal(lackOfConsent(agreed, { ...agreed, url: 'https://a.org/x/' }), 'changed')
  assert.equal(lackOfConsent(agreed, { ...agreed, branch: 'Main' }), 'changed')
})

test('failures make the pauses longer, up to a bound, and a success ends that', () => {
  let order = { everyMs: 60_000, push: false, nextMs: 0, failures: 0 }
  const pauses: number[] = []
  for (let i = 0; i < 14; i += 1) {
    order = nextCall(order, true, 1_000)
    pauses.push(order.nextMs - 1_000)
  }
  assert.deepEqual(pauses.slice(0, 4), [60_000, 120_000, 240_000, 480_000])
  assert.equal(pauses.at(-1), upstreamPauseMaxMs)
  assert.equal(nextCall(order, false, 1_000).nextMs, 61_000)
  // What was ordered to be rare is never called more often than that.
  const rare = { ...order, everyMs: 10 * upstreamPauseMaxMs, failures: 40 }
  assert.equal(nextCall(rare, true, 0).nextMs, rare.everyMs)
})

test('a clock that is set back does not put calls off until the wrong time comes again', () => {
  const order = nextCall({ everyMs: 60_000, push: false, nextMs: 0, failures: 0 }, false, 9_000_000)
  assert.equal(untilCall(order, 9_000_000), 60_000)
  assert.equal(untilCall(order, 9_030_000), 30_000)
  assert.equal(untilCall(order, 9_090_000), 0)
  assert.equal(untilCall(order, 8_990_000), 0, 'it lies further away than any pause')
  const failed = { ...order, failures: 2, nextMs: 9_120_000 }
  assert.equal(untilCall(failed, 9_000_000), 120_000, 'the pauses after failures are waited for')
})
