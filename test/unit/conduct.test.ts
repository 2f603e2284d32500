import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gossipRecordsPerSecondMax, peerBarredMs, topicsNamedPerPeerMax } from '../../src/base/limits.ts'
import { Conduct } from '../../src/network/conduct.ts'

test('a peer may send a burst of twice its rate, then its rate', () => {
  const conduct = new Conduct()
  const allowed = (count: number, atMs: number) =>
    Array.from({ length: count }, () => conduct.allows('amy', atMs)).filter(Boolean).length
  assert.equal(allowed(5_000, 0), 2 * gossipRecordsPerSecondMax)
  assert.equal(allowed(5_000, 1_000), gossipRecordsPerSecondMax)
  assert.equal(conduct.allows('ben', 1_000), true, 'others are unaffected')
})

test('rejects lower the score, and time heals', () => {
  const conduct = new Conduct()
  for (let n = 0; n < 8; n += 1) conduct.penalise('amy', 0)
  assert.equal(conduct.score('amy', 0), -8)
  assert.equal(conduct.score('amy', 60_000), -4)
  assert.equal(conduct.score('ben', 0), 0)
})

test('leaving does not wipe the slate', () => {
  const conduct = new Conduct()
  conduct.penalise('amy', 0)
  conduct.forget('amy', 1_000)
  assert(conduct.score('amy', 1_000) < -0.9)
  conduct.forget('amy', 3_600_000)
  assert.equal(conduct.score('amy', 3_600_000), 0)
})

test('a peer may name a few topics each time it connects, and who names more is barred for a while', () => {
  const conduct = new Conduct()
  for (let atMs = 0; atMs < 3_600_000; atMs += 2_000) assert(conduct.allowsTopics('amy', 2, atMs))
  assert.equal(conduct.allowsTopics('ben', topicsNamedPerPeerMax + 1, 0), false)
  conduct.bar('ben', 0)
  conduct.forget('ben', 1)
  assert(conduct.isBarred('ben', peerBarredMs - 1))
  assert(!conduct.isBarred('ben', peerBarredMs))
  assert(!conduct.isBarred('amy', 0))
})
