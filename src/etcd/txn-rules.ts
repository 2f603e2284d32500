/** What a Txn must keep before anything of it is done (protocols/etcd.md §4; etcd: v3rpc/key.go). Pure. */
import { etcdRequestBytesMax, etcdTxnOperationsMax } from '../base/limits.ts'
import { PREFIXES } from '../federation/keyspace.ts'
import { isWithin, type KeyRange, latin1, overlaps, rangeBelow, rangeOf } from '../registry/key-range.ts'
import type { KeyKind } from '../registry/transaction.ts'
import type { DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest } from './requests.ts'
import { refusals, refuse, STATUS } from './status.ts'
import { TxnVisits } from './txn-visits.ts'

/** Bytes that each operation takes in a message, beside its keys and values; and the message itself. */
const OPERATION_BYTES = 8

/** @throws EtcdError */
export function checkRange(request: RangeRequest): void {
  if (request.key.length === 0) throw refusals.emptyKey()
}

/** @throws EtcdError */
export function checkPut(request: PutRequest): void {
  if (request.key.length === 0) throw refusals.emptyKey()
  if (request.ignore_value && request.value.length > 0) throw refusals.valueProvided()
  if (request.ignore_lease && request.lease !== 0n) throw refusals.leaseProvided()
  checkSize(putBytes(request))
}

/** @throws EtcdError */
export function checkDelete(request: DeleteRangeRequest): void {
  if (request.key.length === 0) throw refusals.emptyKey()
}

/** All of a Txn, its two branches and those within them. @throws EtcdError */
export function checkTxn(request: TxnRequest): void {
  checkOperations(request, etcdTxnOperationsMax)
  const visits = new TxnVisits()
  writesOf(request.success, visits)
  writesOf(request.failure, visits)
  checkSize(txnBytes(request))
}

/** True when it may write, whichever way it goes. */
export function writes({ success, failure }: TxnRequest): boolean {
  return [...success, ...failure].some(({ request_put, request_delete_range, request_txn }) => {
    const writesHere = request_put !== undefined || request_delete_range !== undefined
    return writesHere || (request_txn !== undefined && writes(request_txn))
  })
}

/**
 * [E9] A Txn that compares anything writes no shared key (protocols/etcd.md §4): another node may be doing the same at
 * this moment, and both would be told that they succeeded.
 *
 * @throws EtcdError
 */
export function checkCompareAndSwap(request: TxnRequest, kindOf: (key: string) => KeyKind): void {
  if (!compares(request)) return
  const shared = sharedWrite(request, kindOf)
  if (shared === undefined) return
  throw refuse(
    STATUS.FAILED_PRECONDITION,
    `compare-and-swap on a replicated key cannot hold between nodes: ${JSON.stringify(shared)} is one; write it without a comparison, use keys outside of the federation's prefixes (such as /local/…), or strong mode (registry: etcd://…)`,
  )
}

function compares({ compare, success, failure }: TxnRequest): boolean {
  if (compare.length > 0) return true
  return [...success, ...failure].some(
    ({ request_txn }) => request_txn !== undefined && compares(request_txn),
  )
}

/** The first key or range of a write that takes a shared key. */
function sharedWrite({ success, failure }: TxnRequest, kindOf: (key: string) => KeyKind): string | undefined {
  for (const { request_put, request_delete_range, request_txn } of [...success, ...failure]) {
    if (request_put !== undefined) {
      const key = latin1(request_put.key)
      if (kindOf(key) === 'shared') return key
    }
    if (request_delete_range !== undefined) {
      const range = rangeOf(request_delete_range.key, request_delete_range.range_end)
      if (mayShare(range, kindOf)) return range.from
    }
    const within = request_txn === undefined ? undefined : sharedWrite(request_txn, kindOf)
    if (within !== undefined) return within
  }
  return undefined
}

function mayShare(range: KeyRange, kindOf: (key: string) => KeyKind): boolean {
  if (range.to === undefined) return kindOf(range.from) === 'shared'
  return PREFIXES.some((prefix) => overlaps(range, rangeBelow(prefix)))
}

/** A nested Txn has what its parent leaves of the operations, as etcd counts them. */
function checkOperations({ compare, success, failure }: TxnRequest, most: number): void {
  const count = Math.max(compare.length, success.length, failure.length)
  if (count > most) throw refusals.tooManyOperations()
  for (const { key } of compare) if (key.length === 0) throw refusals.emptyKey()
  for (const operation of success) checkOperation(operation, most - count)
  for (const operation of failure) checkOperation(operation, most - count)
}

function checkOperation(operation: RequestOp, most: number): void {
  const { request_range, request_put, request_delete_range, request_txn } = operation
  if (request_range !== undefined) checkRange(request_range)
  else if (request_put !== undefined) checkPut(request_put)
  else if (request_delete_range !== undefined) checkDelete(request_delete_range)
  else if (request_txn !== undefined) checkOperations(request_txn, most)
  else throw refusals.keyNotFound()
}

interface Writes {
  readonly puts: ReadonlySet<string>
  readonly deletes: readonly KeyRange[]
}

/**
 * No key is put twice, or put and deleted; two branches of which only one is taken may put the same.
 *
 * @throws EtcdError
 */
function writesOf(operations: readonly RequestOp[], visits: TxnVisits): Writes {
  const puts = new Set<string>()
  const deletes: KeyRange[] = []
  for (const { request_delete_range: range } of operations) {
    if (range !== undefined) deletes.push(rangeOf(range.key, range.range_end))
  }
  const add = (key: string, beside: ReadonlySet<string>) => {
    if (puts.has(key) && !beside.has(key)) throw refusals.duplicateKey()
    visits.spend(deletes.length)
    if (deletes.some((range) => isWithin(key, range))) throw refusals.duplicateKey()
    puts.add(key)
  }
  for (const { request_txn: within } of operations) {
    if (within === undefined) continue
    const [done, otherwise] = [writesOf(within.success, visits), writesOf(within.failure, visits)]
    for (const key of done.puts) add(key, NONE)
    for (const key of otherwise.puts) add(key, done.puts)
    for (const range of done.deletes) deletes.push(range)
    for (const range of otherwise.deletes) deletes.push(range)
  }
  for (const { request_put: put } of operations) if (put !== undefined) add(latin1(put.key), NONE)
  return { puts, deletes }
}

const NONE: ReadonlySet<string> = new Set()

/** @throws EtcdError */
function checkSize(bytes: number): void {
  if (bytes > etcdRequestBytesMax) throw refusals.tooLarge()
}

function putBytes({ key, value }: PutRequest): number {
  return key.length + value.length + OPERATION_BYTES
}

function txnBytes({ compare, success, failure }: TxnRequest): number {
  let bytes = 0
  for (const { key, value, range_end } of compare) {
    bytes += key.length + value.length + range_end.length + OPERATION_BYTES
  }
  for (const operation of [...success, ...failure]) {
    const { request_put, request_range, request_delete_range, request_txn } = operation
    if (request_put !== undefined) bytes += putBytes(request_put)
    const ranged = request_range ?? request_delete_range
    if (ranged !== undefined) bytes += ranged.key.length + ranged.range_end.length + OPERATION_BYTES
    if (request_txn !== undefined) bytes += txnBytes(request_txn)
  }
  return bytes
}
