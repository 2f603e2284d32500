import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clusterTxnBytesMax, clusterTxnRecordsMax } from '../../../src/base/limits.ts'
import { ClusterKeys, chunksOf } from '../../../src/etcd/cluster-keys.ts'
import { placeOf } from '../../../src/registry/record.ts'
import { plainRecord } from '../../support/records.ts'

const keys = new ClusterKeys('maotest')

test('a place becomes a key below the federation, and comes back from it byte for byte', () => {
  for (const place of ['/tools/x 12D3', '/', '/tools/\u00ff\u0000 odd']) {
    assert.equal(keys.place(keys.key(place)), place)
  }
  assert.equal(keys.key('/tools/x 12D3').toString(), '/mao/maotest/records/tools/x 12D3')
})

test('the claims to a key are one range, which holds those of no other key', () => {
  const inside = ({ key, range_end }: { key: Buffer; range_end: Buffer }, place: string) =>
    Buffer.compare(keys.key(place), key) >= 0 && Buffer.compare(keys.key(place), range_end) < 0
  const range = keys.claims('/tools/x')
  for (const author of ['12D3KooWa', 'zz', '0']) assert(inside(range, `/tools/x ${author}`))
  // Every character that a key may go on with.
  for (const next of 'azAZ09._~-/') assert(!inside(range, `/tools/x${next} 12D3KooWa`), next)
  for (const other of ['/tools/w 12D3', '/tools 12D3', '/tools/y 12D3']) assert(!inside(range, other))
  for (const place of ['/members/a b', '/votes/x b']) assert(inside(keys.below(), place))
  assert(inside(keys.below('/members/'), '/members/a b'))
  assert(!inside(keys.below('/members/'), '/membership/a b'))
})

test('records are written in groups that a cluster with its defaults takes, in their order', () => {
  const sized = (n: number, size: number) => ({
    ...plainRecord({ key: `/tools/t${n}`, author: 'amy' }),
    envelope: new Uint8Array(size),
  })
  const records = Array.from({ length: 400 }, (_, n) => sized(n, n < 200 ? 300 : 60_000))
  const chunks = chunksOf(records, (record) => record)
  assert.deepEqual(chunks.flat(), records)
  for (const chunk of chunks) {
    assert(chunk.length <= clusterTxnRecordsMax)
    assert(chunk.reduce((sum, record) => sum + record.envelope.length, 0) <= clusterTxnBytesMax)
    // etcd counts the operations of each branch: 128 by default.
    const { compare = [], success = [], failure = [] } = keys.claim(chunk, () => 7)
    assert(Math.max(compare.length, success.length, failure.length) <= 128)
  }
  assert.deepEqual(
    chunksOf([], (record: (typeof records)[0]) => record),
    [],
  )
  assert.equal(chunksOf(records.slice(0, 200), (record) => record).length, 4)
})

test('a write asks that nobody has written its keys since, a read of all claims tells who has', () => {
  const record = plainRecord({ key: '/tools/x', author: 'amy' })
  const { compare, success, failure } = keys.claim([record], () => 41)
  assert.deepEqual(compare, [
    { ...keys.claims('/tools/x'), target: 'Mod', result: 'Less', mod_revision: '42' },
  ])
  assert.deepEqual(success?.[0]?.request_put?.key, keys.key(placeOf(record)))
  assert.equal(failure?.length, 2)
})
