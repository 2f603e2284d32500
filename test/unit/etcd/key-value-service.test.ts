import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { headersOf } from '../../../src/etcd/header.ts'
import { KeyValueService } from '../../../src/etcd/key-value-service.ts'
import { Operations } from '../../../src/etcd/operations.ts'
import type { TxnRequest } from '../../../src/etcd/requests.ts'
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
