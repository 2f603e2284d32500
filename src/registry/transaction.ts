import type { KeyRange } from './key-range.ts'
import type { KeyValue } from './key-value.ts'

/** Where a key is at home: with every member, on this node alone, or nowhere (below a shared prefix, but no such key). */
export type KeyKind = 'shared' | 'local' | 'reserved'

/** What a plan sees and does between begin and commit; nothing of it is seen by others before it is durable. */
export interface Transaction {
  /** The revision that the transaction gets if it writes. */
  readonly revision: number
  /** As of now, the transaction's own writes included. */
  get(key: string): KeyValue | undefined
  /** Sorted by key, the transaction's own writes included. */
  range(range: KeyRange): readonly KeyValue[]
  /**
   * Puts a key, shared or local. What is put with a lease goes with it; 0 is no lease.
   *
   * @throws NodeError INVALID_INPUT (a reserved key), CONFLICT (the name is another member's), FORBIDDEN, NOT_A_MEMBER,
   * TOO_LARGE, LEASE_NOT_FOUND
   */
  put(key: string, value: Uint8Array, lease: bigint): Promise<KeyValue>
  /** Deletes what is there. @returns what was. @throws NodeError CONFLICT, FORBIDDEN, NOT_A_MEMBER */
  delete(range: KeyRange): Promise<readonly KeyValue[]>
}

/** Runs alone; when it throws, nothing that it wrote is kept. */
export type Plan<T> = (transaction: Transaction) => T | Promise<T>

/** One change of one key. */
export interface KeyEvent {
  readonly type: 'put' | 'delete'
  /** A deletion has the key and the revision alone. */
  readonly kv: KeyValue
  readonly previous: KeyValue | undefined
}
