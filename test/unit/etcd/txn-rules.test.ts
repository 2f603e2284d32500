import assert from 'node:assert/strict'
import { test } from 'node:test'
import { etcdRequestBytesMax } from '../../../src/base/limits.ts'
import type { RequestOp } from '../../../src/etcd/requests.ts'
import { checkCompareAndSwap, checkTxn, writes } from '../../../src/etcd/txn-rules.ts'
import { kindOf } from '../../../src/federation/keyspace.ts'
import {
  deleteOp,
  EMPTY_OP,
  missing,
  putOp,
  rangeOp,
  txnOp,
  txnRequest,
} from '../../support/etcd-requests.ts'

const check = (...success: RequestOp[]) => checkTxn(txnRequest({ success }))
const TWICE = { message: 'etcdserver: duplicate key given in txn request' }
const MANY = { message: 'etcdserver: too many operations in txn request' }

test('a key is put once, and not deleted beside', () => {
  check(putOp('a'), putOp('b'), deleteOp('c'), deleteOp('c', 'd'), rangeOp('a'))
  assert.throws(() => check(putOp('a'), putOp('a')), TWICE)
  assert.throws(() => check(deleteOp('a'), putOp('a')), TWICE)
  assert.throws(() => check(putOp('b'), deleteOp('a', 'c')), TWICE)
  check(putOp('c'), deleteOp('a', 'c'))
})

test('what stands within is seen too; of two branches one is taken', () => {
  assert.throws(() => check(putOp('a'), txnOp({ success: [putOp('a')] })), TWICE)
  assert.throws(() => check(txnOp({ success: [putOp('a')] }), txnOp({ failure: [putOp('a')] })), TWICE)
  assert.throws(() => check(deleteOp('a', 'z'), txnOp({ failure: [putOp('b')] })), TWICE)
  assert.throws(() => check(txnOp({ failure: [deleteOp('a', 'z')] }), putOp('b')), TWICE)
  check(txnOp({ success: [putOp('a')], failure: [putOp('a')] }))
})

test('operations are counted in every branch, and a nested Txn has what is left', () => {
  const puts = Array.from({ length: 128 }, (_, i) => putOp(`${i}`))
  check(...puts)
  assert.throws(() => check(...puts, putOp('one more')), MANY)
  assert.throws(() => checkTxn(txnRequest({ failure: [...puts, putOp('x')] })), MANY)
  check(txnOp({ success: puts.slice(1) }))
  assert.throws(() => check(txnOp({ success: puts })), MANY)
})

test('an operation says what it wants, with a key', () => {
  assert.throws(() => check(EMPTY_OP), { message: 'etcdserver: key not found' })
  for (const op of [putOp(''), rangeOp('', 'x'), deleteOp('')]) {
    assert.throws(() => check(op), { message: 'etcdserver: key is not provided' })
  }
  assert.throws(() => checkTxn(txnRequest({ compare: [missing('')] })), { message: /key is not provided/ })
})

test('all of it together is no larger than one request may be', () => {
  const third = 'x'.repeat(etcdRequestBytesMax / 3)
  check(putOp('a', third), putOp('b', third))
  assert.throws(() => check(putOp('a', third), putOp('b', third), txnOp({ success: [putOp('c', third)] })), {
    message: 'etcdserver: request is too large',
  })
})

test('what only reads is told from what may write', () => {
  assert(!writes(txnRequest({ success: [rangeOp('a')], failure: [txnOp({ success: [rangeOp('b')] })] })))
  assert(writes(txnRequest({ failure: [txnOp({ failure: [deleteOp('b')] })] })))
})

test('a comparison and the write of a shared key do not go together, wherever they stand', () => {
  const compare = [missing('/local/lock')]
  const refused = { code: 9, message: /^mao: compare-and-swap on a replicated key cannot hold between nodes/ }
  const shared = [
    { compare, success: [putOp('/tools/a')] },
    { compare, failure: [putOp('/tools/a')] },
    { compare, success: [deleteOp('/tools/', '/tools0')] },
    { compare, success: [deleteOp('\0', '\0')] },
    { compare, success: [deleteOp('/shared/x')] },
    { compare, success: [txnOp({ failure: [putOp('/raw/x')] })] },
    { success: [putOp('/tools/a'), txnOp({ compare })] },
  ]
  for (const txn of shared) assert.throws(() => checkCompareAndSwap(txnRequest(txn), kindOf), refused)
  const fine = [
    { compare, success: [putOp('/local/lock'), rangeOp('/tools/', '/tools0')] },
    { compare: [missing('/tools/a')], success: [putOp('/mine')], failure: [rangeOp('/tools/a')] },
    { compare, success: [deleteOp('/local/', '/local0'), deleteOp('/toolbox')] },
    { success: [putOp('/tools/a'), deleteOp('/tools/b')] },
  ]
  for (const txn of fine) checkCompareAndSwap(txnRequest(txn), kindOf)
})
