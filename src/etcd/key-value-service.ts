/**
 * etcd's KV service (protocols/etcd.md §3, §4). Reads come from this node's memory; what is written is durable here,
 * and on its way to the other members where it is shared, when it is answered.
 */
import { rangeOf } from '../registry/key-range.ts'
import type { KeyValueStore } from '../registry/key-value-store.ts'
import type { HeaderAt } from './header.ts'
import type { Operations } from './operations.ts'
import { select } from './range.ts'
import type {
  CompactionRequest,
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
} from './requests.ts'
import { refusals } from './status.ts'
import { type ReadableStore, runTxn } from './txn.ts'
import { checkCompareAndSwap, checkDelete, checkPut, checkRange, checkTxn } from './txn-rules.ts'

export interface KeyValueServiceParts {
  readonly keyValues: ReadableStore & Pick<KeyValueStore, 'transact' | 'compact' | 'kindOf' | 'leases'>
  readonly operations: Operations
  readonly header: HeaderAt
  /** Whether a cluster stands behind the shared keys, so that a comparison holds for all members. */
  readonly strong: boolean
}

export class KeyValueService {
  readonly #parts: KeyValueServiceParts
  /** As `GrpcServer` takes them. */
  readonly unary = {
    Range: (request: RangeRequest) => this.range(request),
    Put: (request: PutRequest) => this.put(request),
    DeleteRange: (request: DeleteRangeRequest) => this.deleteRange(request),
    Txn: (request: TxnRequest) => this.txn(request),
    Compact: (request: CompactionRequest) => this.compact(request),
  }

  constructor(parts: KeyValueServiceParts) {
    this.#parts = parts
  }

  /** @throws EtcdError, NodeError REVISION_COMPACTED, REVISION_FUTURE */
  range(request: RangeRequest) {
    checkRange(request)
    const { keyValues, header } = this.#parts
    const range = rangeOf(request.key, request.range_end)
    const at = Number(request.revision)
    if (request.count_only) return { header: header(keyValues.revision), count: keyValues.count(range, at) }
    const { kvs, more, count } = select(keyValues.range(range, at), request)
    return { header: header(keyValues.revision), kvs, more, count }
  }

  /** @throws EtcdError, and what `KeyValueStore.transact` throws. */
  async put(request: PutRequest) {
    checkPut(request)
    const { keyValues, operations, header } = this.#parts
    const { lease, ignore_value } = request
    // Where a lease and a key are both missing, etcd names the lease; within a Txn, the key.
    if (ignore_value && lease !== 0n && keyValues.leases.timeToLive(lease) === undefined)
      throw refusals.leaseNotFound()
    const { result, revision } = await keyValues.transact((transaction) =>
      operations.put(transaction, request),
    )
    return { header: header(revision), prev_kv: request.prev_kv ? result : undefined }
  }

  /** @throws EtcdError, and what `KeyValueStore.transact` throws. */
  async deleteRange(request: DeleteRangeRequest) {
    checkDelete(request)
    const { keyValues, operations, header } = this.#parts
    const { result, revision } = await keyValues.transact((transaction) => {
      return operations.delete(transaction, request)
    })
    return { header: header(revision), deleted: result.length, prev_kvs: request.prev_kv ? result : [] }
  }

  /** @throws EtcdError, and what `KeyValueStore.transact` throws. */
  async txn(request: TxnRequest) {
    checkTxn(request)
    const { keyValues, operations, header, strong } = this.#parts
    if (!strong) checkCompareAndSwap(request, (key) => keyValues.kindOf(key))
    const { result, revision } = await runTxn(request, { keyValues, operations })
    return { ...result, header: header(revision) }
  }

  /** @throws NodeError REVISION_COMPACTED, REVISION_FUTURE */
  async compact({ revision }: CompactionRequest) {
    const { keyValues, header } = this.#parts
    await keyValues.compact(Number(revision))
    return { header: header(keyValues.revision) }
  }
}
