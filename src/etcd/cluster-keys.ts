/**
 * What the registry looks like in an etcd cluster (protocols/strong-mode.md §3), and the transactions that write it.
 * Pure: nothing here waits.
 */
import type { ICompare, IRequestOp, ITxnRequest } from 'etcd3'
import { clusterTxnBytesMax, clusterTxnRecordsMax } from '../base/limits.ts'
import { txnBytesOf } from '../registry/flight.ts'
import { placeOf, type SealedRecord } from '../registry/record.ts'
import { numberOf } from './header.ts'

/** A range of etcd's keys. */
export interface ClusterRange {
  readonly key: Buffer
  readonly range_end: Buffer
}

/** A record to be written if the cluster's copy of its place is as old as we know it. */
export interface Offer {
  readonly record: SealedRecord
  /** The place's revision in the cluster; 0 when it holds nothing there. */
  readonly known: number
}

/** [T1] A record is kept below the prefix of its federation, at its place; places begin with a slash. */
export class ClusterKeys {
  readonly #prefix: string
  readonly #federation: bigint

  constructor(federation: string) {
    this.#federation = numberOf(federation)
    this.#prefix = `/mao/${federation}/records`
  }

  /** Whether a cluster of that id is the federation itself, as its members show it to etcd's clients. */
  isFederation(cluster: string): boolean {
    return BigInt(cluster) === this.#federation
  }

  key(place: string): Buffer {
    return Buffer.from(this.#prefix + place, 'latin1')
  }

  place(key: Buffer): string {
    return key.toString('latin1').slice(this.#prefix.length)
  }

  /** All records, or those of the keys below `prefix`, which ends with a slash. */
  below(prefix = '/'): ClusterRange {
    return this.between(prefix, `${prefix.slice(0, -1)}0`)
  }

  between(from: string, to: string): ClusterRange {
    return { key: this.key(from), range_end: this.key(to) }
  }

  /** All members' claims to a key of the registry: of a place, a space follows the key. */
  claims(key: string): ClusterRange {
    return this.between(`${key} `, `${key}!`)
  }

  /**
   * [W2] Writes all of `records` if nobody has written any of their keys since the revision that `seen` gives for it;
   * otherwise answers what the cluster holds at their places, and the revisions of all claims to their keys.
   */
  claim(records: readonly SealedRecord[], seen: (key: string) => number): ITxnRequest {
    const compare: ICompare[] = records.map(({ key }) => ({
      ...this.claims(key),
      target: 'Mod',
      result: 'Less',
      mod_revision: String(seen(key) + 1),
    }))
    const reads = records.flatMap((record): IRequestOp[] => [
      { request_range: { key: this.key(placeOf(record)) } },
      { request_range: { ...this.claims(record.key), keys_only: true } },
    ])
    return { compare, success: records.map((record) => this.#put(record)), failure: reads }
  }

  /** [U4] Writes each of `offers` by itself, where the cluster's copy is still as old as was known. */
  offer(offers: readonly Offer[]): ITxnRequest {
    return {
      success: offers.map(({ record, known }) => ({
        request_txn: { compare: [this.#isAt(placeOf(record), known)], success: [this.#put(record)] },
      })),
    }
  }

  /** [U1] Deletes `places` together, if each still is at the revision given. */
  forget(places: readonly (readonly [place: string, revision: number])[]): ITxnRequest {
    return {
      compare: places.map(([place, revision]) => this.#isAt(place, revision)),
      success: places.map(([place]) => ({ request_delete_range: { key: this.key(place) } })),
    }
  }

  #isAt(place: string, revision: number): ICompare {
    return { key: this.key(place), target: 'Mod', result: 'Equal', mod_revision: String(revision) }
  }

  #put(record: Offer['record']): IRequestOp {
    return { request_put: { key: this.key(placeOf(record)), value: Buffer.from(record.envelope) } }
  }
}

/** [W1] `records` in order, in groups that fit one transaction. */
export function chunksOf<T>(items: readonly T[], recordOf: (item: T) => SealedRecord): T[][] {
  const chunks: T[][] = []
  let bytes = 0
  for (const item of items) {
    const size = txnBytesOf(recordOf(item))
    const last = chunks.at(-1)
    if (last === undefined || last.length >= clusterTxnRecordsMax || bytes + size > clusterTxnBytesMax) {
      chunks.push([item])
      bytes = size
    } else {
      last.push(item)
      bytes += size
    }
  }
  return chunks
}
