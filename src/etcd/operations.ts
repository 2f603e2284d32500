/**
 * What one request, or one operation of a Txn, does within a transaction of the registry (protocols/etcd.md §3). What
 * the federation does not let this node write is refused, and then nothing of the whole transaction happens.
 */
import { isNodeError, type NodeError } from '../base/errors.ts'
import type { Members } from '../federation/members.ts'
import { latin1, rangeOf } from '../registry/key-range.ts'
import type { KeyValue } from '../registry/key-value.ts'
import type { Registry } from '../registry/registry.ts'
import type { Transaction } from '../registry/transaction.ts'
import type { DeleteRangeRequest, PutRequest } from './requests.ts'
import { type EtcdError, refusals, refuse, STATUS } from './status.ts'

export interface OperationsParts {
  readonly registry: Pick<Registry, 'get'>
  readonly members: Pick<Members, 'get'>
}

export class Operations {
  readonly #parts: OperationsParts

  constructor(parts: OperationsParts) {
    this.#parts = parts
  }

  /** @returns what the key showed before. @throws EtcdError, and what `Transaction.put` throws. */
  async put(transaction: Transaction, request: PutRequest): Promise<KeyValue | undefined> {
    const { ignore_value, ignore_lease } = request
    const key = latin1(request.key)
    const previous = transaction.get(key)
    if ((ignore_value || ignore_lease) && previous === undefined) throw refusals.keyNotFound()
    const value = ignore_value && previous !== undefined ? previous.value : request.value
    const lease = ignore_lease && previous !== undefined ? previous.lease : request.lease
    try {
      await transaction.put(key, value, lease)
    } catch (error) {
      if (isNodeError(error, 'CONFLICT')) throw this.#foreign(key, error)
      // The node's local keys are what etcd's quota is for.
      if (isNodeError(error, 'TOO_LARGE') && 'localBytesMax' in error.data) throw refusals.noSpace()
      throw error
    }
    return previous
  }

  /** @returns what was deleted. @throws EtcdError, and what `Transaction.delete` throws. */
  async delete(transaction: Transaction, request: DeleteRangeRequest): Promise<readonly KeyValue[]> {
    const gone = await transaction.delete(rangeOf(request.key, request.range_end))
    for (const kv of gone) {
      // Ours was deleted, but it is another member's claim that the key shows, and an etcd client could not tell.
      if (transaction.get(kv.key) === kv) throw this.#foreign(kv.key)
    }
    return gone
  }

  #foreign(key: string, error?: NodeError): EtcdError {
    const { registry, members } = this.#parts
    const told = error?.data['author']
    const author = typeof told === 'string' ? told : registry.get(key)?.author
    if (author === undefined)
      return refuse(STATUS.PERMISSION_DENIED, error?.message ?? `${key} was not deleted`)
    const name = members.get(author)?.name ?? author
    const details = `${key} is the claim of ${name}; only its author or an operator changes or deletes it`
    return refuse(STATUS.PERMISSION_DENIED, details)
  }
}
