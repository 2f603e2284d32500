/**
 * One Txn, after its rules were checked (txn-rules.ts). As in etcd, all comparisons of it and of those within it are made
 * first; then the operations of the branches taken are done in order, each seeing what those before it wrote.
 */
import { type KeyRange, latin1, rangeOf } from '../registry/key-range.ts'
import type { KeyValue } from '../registry/key-value.ts'
import type { KeyValueStore } from '../registry/key-value-store.ts'
import type { Transaction } from '../registry/transaction.ts'
import { allHold, type Compared } from './compare.ts'
import type { Operations } from './operations.ts'
import { select } from './range.ts'
import type { RangeRequest, RequestOp, TxnRequest } from './requests.ts'
import { refusals } from './status.ts'
import { writes } from './txn-rules.ts'
import { TxnVisits } from './txn-visits.ts'

export type ReadableStore = Pick<KeyValueStore, 'revision' | 'range' | 'count'>

export interface TxnParts {
  readonly keyValues: ReadableStore & Pick<KeyValueStore, 'transact' | 'leases'>
  readonly operations: Operations
}

/** What the client is told; the header says the revision alone, as within etcd's. */
export interface TxnAnswer {
  readonly header: { readonly revision?: number }
  readonly succeeded: boolean
  readonly responses: readonly object[]
}

/** Which branch is taken, of a Txn and of those within it. */
interface Path {
  readonly succeeded: boolean
  readonly taken: readonly RequestOp[]
  readonly within: ReadonlyMap<RequestOp, Path>
}

/** @returns the answer and the revision that it was given at. @throws EtcdError, and what `transact` throws. */
export async function runTxn(
  request: TxnRequest,
  { keyValues, operations }: TxnParts,
): Promise<{ result: TxnAnswer; revision: number }> {
  const perform = (transaction: Transaction) => {
    const visits = new TxnVisits()
    const { get, range } = transaction
    const path = choose(request, { get, range, count: (within) => keyValues.count(within) }, visits)
    checkPath(path, transaction, keyValues)
    return new Run({ transaction, keyValues, operations, visits }).follow(path)
  }
  if (writes(request)) return keyValues.transact(perform)
  // What only reads needs no turn among the writers.
  const { revision } = keyValues
  return { result: await perform(viewOf(keyValues)), revision }
}

function choose({ compare, success, failure }: TxnRequest, view: Compared, visits: TxnVisits): Path {
  const succeeded = allHold(compare, view, visits)
  const taken = succeeded ? success : failure
  const within = new Map<RequestOp, Path>()
  for (const operation of taken) {
    if (operation.request_txn !== undefined)
      within.set(operation, choose(operation.request_txn, view, visits))
  }
  return { succeeded, taken, within }
}

/** Of several reasons against what is taken, etcd names those of the puts first, then those of the ranges. */
function checkPath(path: Path, transaction: Transaction, { leases }: Pick<KeyValueStore, 'leases'>): void {
  const taken = [...operationsOf(path)]
  // What only puts can be refused for is found while they are done.
  if (!taken.some(({ request_range: range }) => range !== undefined && range.revision > 0n)) return
  for (const { request_put: put } of taken) {
    if (put === undefined) continue
    const keeps = put.ignore_value || put.ignore_lease
    if (keeps && transaction.get(latin1(put.key)) === undefined) throw refusals.keyNotFound()
    if (put.lease !== 0n && leases.timeToLive(put.lease) === undefined) throw refusals.leaseNotFound()
  }
}

function* operationsOf({ taken, within }: Path): Generator<RequestOp> {
  for (const operation of taken) {
    yield operation
    const path = within.get(operation)
    if (path !== undefined) yield* operationsOf(path)
  }
}

interface RunParts {
  readonly transaction: Transaction
  readonly keyValues: ReadableStore
  readonly operations: Operations
  readonly visits: TxnVisits
}

class Run {
  readonly #transaction: Transaction
  readonly #keyValues: ReadableStore
  readonly #operations: Operations
  readonly #visits: TxnVisits
  #changed = 0

  constructor({ transaction, keyValues, operations, visits }: RunParts) {
    this.#transaction = transaction
    this.#keyValues = keyValues
    this.#operations = operations
    this.#visits = visits
  }

  async follow({ succeeded, taken, within }: Path): Promise<TxnAnswer> {
    const responses: object[] = []
    for (const operation of taken) {
      const answer = this.#do(operation, within.get(operation))
      responses.push(answer instanceof Promise ? await answer : answer)
    }
    return { header: {}, succeeded, responses }
  }

  #do(operation: RequestOp, path: Path | undefined): object | Promise<object> {
    const { request_range, request_put, request_delete_range } = operation
    if (request_range !== undefined) return { response_range: this.#range(request_range) }
    if (request_put !== undefined) return this.#put(request_put)
    if (request_delete_range !== undefined) return this.#delete(request_delete_range)
    if (path === undefined) throw refusals.keyNotFound()
    return this.follow(path).then((answer) => ({ response_txn: answer }))
  }

  #range(request: RangeRequest) {
    const range = rangeOf(request.key, request.range_end)
    const { kvs, more, count } = select(this.#present(range, Number(request.revision)), request)
    return {
      header: this.#header(),
      kvs: request.count_only ? [] : kvs,
      more: more && !request.count_only,
      count,
    }
  }

  #present(range: KeyRange, at: number): readonly KeyValue[] {
    // As of before this Txn: its own revision cannot be asked for.
    if (at >= this.#transaction.revision) throw refusals.futureRevision()
    if (at <= 0 && range.to === undefined) {
      const kv = this.#transaction.get(range.from)
      return kv === undefined ? [] : [kv]
    }
    this.#visit(range, at)
    return at > 0 ? this.#keyValues.range(range, at) : this.#transaction.range(range)
  }

  /** Before they are put together. What the Txn itself has changed is gone through too. */
  #visit(range: KeyRange, at = 0): void {
    this.#visits.spend(1 + this.#changed + this.#keyValues.count(range, at))
  }

  async #put(request: RequestOp['request_put'] & object): Promise<object> {
    const previous = await this.#operations.put(this.#transaction, request)
    this.#changed += 1
    return { response_put: { header: this.#header(), prev_kv: request.prev_kv ? previous : undefined } }
  }

  async #delete(request: RequestOp['request_delete_range'] & object): Promise<object> {
    this.#visit(rangeOf(request.key, request.range_end))
    const gone = await this.#operations.delete(this.#transaction, request)
    this.#changed += gone.length
    const prev_kvs = request.prev_kv ? gone : []
    return { response_delete_range: { header: this.#header(), deleted: gone.length, prev_kvs } }
  }

  /** Of an operation: the present revision until the first write, from then on that of the Txn. */
  #header(): { readonly revision: number } {
    const { revision } = this.#transaction
    return { revision: this.#changed > 0 ? revision : revision - 1 }
  }
}

/** A transaction that only reads: the store as it is now, whatever happens until it is done. */
function viewOf(keyValues: ReadableStore): Transaction {
  const { revision } = keyValues
  const range: Transaction['range'] = (within) => keyValues.range(within, revision)
  const readOnly = () => Promise.reject(new Error('A Txn that only reads has come to write'))
  const get: Transaction['get'] = (key) => range({ from: key, to: undefined })[0]
  return { revision: revision + 1, get, range, put: readOnly, delete: readOnly }
}
