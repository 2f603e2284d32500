import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { headersOf } from '../../../src/etcd/header.ts'
import { KeyValueService } from '../../../src/etcd/key-value-service.ts'
import { Operations } from '../../../src/etcd/operations.ts'
import type { Compare, RequestOp, TxnRequest } from '../../../src/etcd/requests.ts'
import { KeyValue } from '../../../src/registry/key-value.ts'
import {
  deleteOp,
  deleteRequest,
  missing,
  putOp,
  putRequest,
  rangeOp,
  rangeRequest,
  txnOp,
  txnRequest,
} from '../../support/etcd-requests.ts'
import { startKeyValueNode } from '../../support/key-value-node.ts'

async function open(t: TestContext, strong = false) {
  const { registry, members, keyValues } = await startKeyValueNode(t)
  const operations = new Operations({ registry, members })
  const kv = new KeyValueService({ keyValues, operations, header: headersOf(1n, 2n), strong })
  const keys = (prefix = '/') => {
    const { kvs } = kv.range(rangeRequest(prefix, '\0'))
    return (kvs ?? []).map((shown) =>
      shown instanceof KeyValue ? `${shown.key}=${Buffer.from(shown.value)}` : '',
    )
  }
  const txn = (request: Partial<TxnRequest>) => kv.txn(txnRequest(request))
  return { kv, keys, txn, registry, keyValues }
}

/** What the operations answered, by kind, with the revision that each was done at. */
const told = (responses: readonly object[]) => {
  return responses.map((response) => {
    const [kind, answer] = Object.entries(response)[0] ?? []
    return `${kind?.replace('response_', '')} ${answer?.header?.revision ?? '-'}`
  })
}

test('shared and local keys stand in one order and count in one number', async (t) => {
  const { kv, keys, registry } = await open(t)
  const first = (await kv.put(putRequest('/local/a', '1'))).header.revision
  const second = await kv.put(putRequest('/tools/a', '2'))
  assert.equal(second.header.revision, first + 1)
  assert.equal((await kv.put(putRequest('\xff\x00', '3'))).header.revision, first + 2)
  assert.deepEqual(keys('/local/').slice(0, 1), ['/local/a=1'])
  assert.deepEqual(keys('/tools/'), ['/tools/a=2', '\xff\x00=3'])
  assert.equal(String(registry.get('/tools/a')?.value), String(new TextEncoder().encode('2')))
  assert.equal(registry.get('/local/a'), undefined)
})

test('a range takes what is asked for, of what is asked for', async (t) => {
  const { kv } = await open(t)
  for (const word of ['b=1', 'a=3', 'c=2', 'b=9']) {
    const [key = '', value = ''] = word.split('=')
    await kv.put(putRequest(`/k/${key}`, value))
  }
  const { revision } = kv.range(rangeRequest('x')).header
  const range = (more: Parameters<typeof rangeRequest>[2] = {}) => {
    const { kvs = [], more: left, count } = kv.range(rangeRequest('/k/', '/k0', more))
    return [kvs.map(({ key }) => Buffer.from(key).toString().at(-1)).join(''), left, count]
  }
  assert.deepEqual(range(), ['abc', false, 3])
  assert.deepEqual(range({ limit: 2n }), ['ab', true, 3])
  assert.deepEqual(range({ sort_target: 4, sort_order: 2 }), ['bac', false, 3])
  assert.deepEqual(range({ sort_target: 3 }), ['acb', false, 3])
  assert.deepEqual(range({ sort_target: 1, sort_order: 2, limit: 1n }), ['b', true, 3])
  assert.deepEqual(range({ sort_order: 7 }), ['abc', false, 3])
  assert.deepEqual(range({ count_only: true, limit: 1n }), ['', undefined, 3])
  assert.deepEqual(range({ min_mod_revision: BigInt(revision - 1) }), ['bc', false, 3])
  assert.deepEqual(range({ max_create_revision: BigInt(revision - 3) }), ['b', false, 3])
  assert.deepEqual(range({ revision: BigInt(revision - 2) }), ['ab', false, 2])
  assert.deepEqual(range({ keys_only: true, sort_target: 4, sort_order: 1 }), ['cab', false, 3])
  assert.throws(() => range({ revision: BigInt(revision + 1) }), { code: 'REVISION_FUTURE' })
  await kv.compact({ revision: BigInt(revision) })
  assert.throws(() => range({ revision: BigInt(revision - 1) }), { code: 'REVISION_COMPACTED' })
})

test('a Txn compares first, in all its depth, then does one thing after the other', async (t) => {
  const { kv, keys, txn } = await open(t)
  const before = (await kv.put(putRequest('/a', 'old'))).header.revision
  const answer = await txn({
    compare: [missing('/b')],
    success: [
      rangeOp('/a'),
      txnOp({ compare: [missing('/a')], success: [putOp('/c', 'no')], failure: [putOp('/c', 'yes')] }),
      rangeOp('/a', '/z'),
      deleteOp('/nothing'),
      putOp('/b', '1'),
    ],
    failure: [putOp('/b', '2')],
  })
  assert.equal(answer.header.revision, before + 1)
  const { responses } = answer
  const now = before + 1
  assert.deepEqual(told(responses), [
    `range ${before}`,
    'txn -',
    `range ${now}`,
    `delete_range ${now}`,
    `put ${now}`,
  ])
  assert.deepEqual(keys('/').slice(0, 3), ['/a=old', '/b=1', '/c=yes'])
  const again = await txn({ compare: [missing('/b')], success: [], failure: [rangeOp('/b')] })
  assert.deepEqual([again.succeeded, again.header.revision], [false, now])
})

test('what cannot be done leaves nothing of a Txn', async (t) => {
  const { kv, txn, keyValues } = await open(t)
  const { revision } = keyValues
  const lost = { ...putOp('/b'), request_put: putRequest('/b', '', { lease: 4242n }) }
  await assert.rejects(txn({ success: [putOp('/a'), lost] }), { code: 'LEASE_NOT_FOUND' })
  await assert.rejects(txn({ success: [putOp('/a'), putOp('/tools/not/a/tool')] }), { code: 'INVALID_INPUT' })
  const kept = { ...putOp('/b'), request_put: putRequest('/b', '', { ignore_value: true }) }
  await assert.rejects(txn({ success: [putOp('/a'), kept] }), { message: 'etcdserver: key not found' })
  assert.equal(keyValues.revision, revision)
  assert.equal(kv.range(rangeRequest('/a')).count, 0)
})

test('a Txn looks at so many keys and no more, however often it names them', async (t) => {
  const { kv, txn, keys } = await open(t)
  const many = 500
  for (let first = 0; first < many; first += 100) {
    await txn({ success: Array.from({ length: 100 }, (_, i) => putOp(`/local/k/${first + i}`, 'x')) })
  }
  const every = { ...missing('/local/k/'), range_end: Buffer.from('/local/k0') }
  const present = { ...every, result: 1 }
  const times = (count: number, one: Compare) => Array<Compare>(count).fill(one)
  const within = (compare: Compare[], count: number) => Array<RequestOp>(count).fill(txnOp({ compare }))
  const tooMany = { code: 8, message: /^mao: .*1000000 keys at most.*several Txns/ }

  // A small message: sixty comparisons, a hundred times over.
  await assert.rejects(txn({ success: within(times(60, present), 60) }), tooMany)
  await assert.rejects(txn({ success: [putOp('/local/a'), ...within(times(60, present), 60)] }), tooMany)
  assert.equal((await txn({ success: within(times(60, present), 30) })).succeeded, true)
  // The first comparison that does not hold is the last that is made.
  const fails = [every, ...times(60, present)]
  assert.equal((await txn({ success: within(fails, 60) })).succeeded, true)

  const ranges = Array<RequestOp>(60).fill(rangeOp('/local/k/', '/local/k0'))
  const nested = Array<RequestOp>(60).fill(txnOp({ success: ranges }))
  await assert.rejects(txn({ success: nested }), tooMany)
  const deletes = Array<RequestOp>(60).fill(deleteOp('/local/k/', '/local/k0'))
  await assert.rejects(txn({ success: Array<RequestOp>(60).fill(txnOp({ success: deletes })) }), tooMany)
  // What it has deleted itself is gone through by every operation after it.
  const gone = deleteOp('/local/k/', '/local/k0')
  const one = Array<RequestOp>(60).fill(deleteOp('/local/none'))
  await assert.rejects(txn({ success: [gone, ...Array(60).fill(txnOp({ success: one }))] }), tooMany)
  assert.equal(keys('/local/k/').filter((shown) => shown.startsWith('/local/k/')).length, many)
  assert.equal(kv.range(rangeRequest('/local/a')).count, 0)
})

test('many puts and many deletions of one Txn are compared with each other only so far', async (t) => {
  const { txn } = await open(t)
  const puts = (group: number) => Array.from({ length: 60 }, (_, i) => putOp(`/local/p/${group}/${i}`))
  const deletes = (group: number) => Array.from({ length: 60 }, (_, i) => deleteOp(`/local/d/${group}/${i}`))
  const groups = (of: (group: number) => RequestOp[], count: number) =>
    Array.from({ length: count }, (_, group) => txnOp({ success: of(group) }))
  await assert.rejects(txn({ success: [...groups(deletes, 34), ...groups(puts, 34)] }), { code: 8 })
})

test('in strong mode a comparison may decide over a shared key', async (t) => {
  const weak = await open(t)
  const request = { compare: [missing('/tools/a')], success: [putOp('/tools/a', '1')] }
  await assert.rejects(weak.txn(request), { code: 9, message: /cannot hold between nodes/ })
  assert.deepEqual(weak.keys('/tools/'), [])
  const strong = await open(t, true)
  assert.equal((await strong.txn(request)).succeeded, true)
  assert.equal((await strong.txn(request)).succeeded, false)
})

test('deleting counts, gives what was, and has one revision', async (t) => {
  const { kv, keys } = await open(t)
  for (const key of ['/tools/a', '/tools/b', '/toolz']) await kv.put(putRequest(key, key))
  const { revision } = kv.range(rangeRequest('/')).header
  const answer = await kv.deleteRange(deleteRequest('/tools/', '/toolz\0', true))
  assert.deepEqual([answer.deleted, answer.header.revision], [3, revision + 1])
  assert.deepEqual(
    answer.prev_kvs.map(({ key }) => key),
    ['/tools/a', '/tools/b', '/toolz'],
  )
  assert.deepEqual(keys('/tools/'), [])
  const nothing = await kv.deleteRange(deleteRequest('/tools/', '/tools0'))
  assert.deepEqual([nothing.deleted, nothing.header.revision], [0, revision + 1])
})
