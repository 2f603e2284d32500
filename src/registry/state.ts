/**
 * The registry in memory. For each key it keeps the latest record of every author that claims it, arranged, so that the
 * first is the one that is shown; beside them, what each author keeps, where each record stands in the sorted whole,
 * and when the next of them is to be forgotten. Pure.
 */

import { tombstoneGraceMs, tombstoneLifeMs } from '../base/limits.ts'
import { OrderedMap } from '../base/ordered-map.ts'
import { type Claims, weightOf } from './merge.ts'
import { placeOf, type SealedRecord } from './record.ts'
import { RecordIndex } from './record-index.ts'

const NO_CLAIMS: readonly SealedRecord[] = []
/** Times as text of one length, so that they sort as numbers do. */
const TIME_DIGITS = 16

/** A time at which a record is to be looked at. */
export interface Deadline {
  readonly at: string
  readonly key: string
}

export class State implements Claims {
  /** Every record, sorted by place. */
  readonly index = new RecordIndex()
  readonly #claims = new Map<string, readonly SealedRecord[]>()
  readonly #bytes = new Map<string, number>()
  readonly #contested = new Set<string>()
  /** By time and place. */
  readonly #deadlines = new OrderedMap<SealedRecord>()

  claims(key: string): readonly SealedRecord[] {
    return this.#claims.get(key) ?? NO_CLAIMS
  }

  bytesOf(author: string): number {
    return this.#bytes.get(author) ?? 0
  }

  keys(): IterableIterator<string> {
    return this.#claims.keys()
  }

  /** Keys that more than one member claims, tombstones included: all whose arrangement can change. */
  contested(): readonly string[] {
    return [...this.#contested]
  }

  /** Takes what the store gave back; claims are arranged later, when all is known that the arrangement looks at. */
  restore(records: readonly SealedRecord[]): void {
    for (const record of records) this.replace(record.key, [...this.claims(record.key), record])
  }

  /** Puts arranged claims in place of those that a key had. */
  replace(key: string, claims: readonly SealedRecord[]): void {
    const before = this.claims(key)
    for (const gone of before) if (!claims.includes(gone)) this.#forget(gone)
    for (const come of claims) if (!before.includes(come)) this.#keep(come)
    if (claims.length === 0) this.#claims.delete(key)
    else this.#claims.set(key, claims)
    if (claims.length > 1) this.#contested.add(key)
    else this.#contested.delete(key)
  }

  /** The deadlines that have come by `nowMs`, the earliest `max` of them. */
  due(nowMs: number, max: number): readonly Deadline[] {
    // The library gives one more than it is asked for.
    const come = this.#deadlines.getRange('', timeText(nowMs + 1), false, max).slice(0, max)
    return come.map(([at, record]) => ({ at, key: record.key }))
  }

  /** Deadlines that were seen to; a record that is still there has a later one, or none. */
  passed(deadlines: readonly Deadline[]): void {
    for (const { at } of deadlines) this.#deadlines.delete(at)
  }

  #keep(record: SealedRecord): void {
    this.index.set(record)
    this.#weigh(record, 1)
    for (const at of deadlinesOf(record)) this.#deadlines.set(at, record)
  }

  #forget(record: SealedRecord): void {
    this.index.delete(record)
    this.#weigh(record, -1)
    for (const at of deadlinesOf(record)) this.#deadlines.delete(at)
  }

  #weigh(record: SealedRecord, sign: 1 | -1): void {
    const bytes = this.bytesOf(record.author) + sign * weightOf(record)
    if (bytes === 0) this.#bytes.delete(record.author)
    else this.#bytes.set(record.author, bytes)
  }
}

/** When a record expires; when what a tombstone buries goes, and when the tombstone does (sweep.ts). */
function deadlinesOf(record: SealedRecord): string[] {
  const times: number[] = []
  if (record.expires !== undefined) times.push(record.expires)
  if (record.value === null) {
    const buriedMs = record.time + tombstoneLifeMs
    times.push(buriedMs + 1, buriedMs + tombstoneGraceMs + 1)
  }
  return times.map((timeMs) => `${timeText(timeMs)} ${placeOf(record)}`)
}

function timeText(timeMs: number): string {
  return String(timeMs).padStart(TIME_DIGITS, '0')
}
