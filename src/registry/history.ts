/**
 * All versions of all keys of this node in memory, as etcd keeps them (etcd: server/mvcc, "multi-version concurrency
 * control"): an index from key to its versions, and a log of the changes in the order of their revisions. Both reach
 * back to the last compaction. Pure: nothing here waits or writes.
 */
import { crc32 } from 'node:zlib'
import { NodeError } from '../base/errors.ts'
import { OrderedMap } from '../base/ordered-map.ts'
import type { KeyRange } from './key-range.ts'
import type { KeyValue } from './key-value.ts'
import type { KeyEvent } from './transaction.ts'

/** Where etcd begins to count: its first change has the revision after it. */
const FIRST_REVISION = 1

/** A key's versions, oldest first; most keys have one, which then stands for itself. */
type Versions = KeyValue | KeyValue[]

/** Sorts after every key: keys are Latin-1 text. */
const AFTER_ALL = '\uffff'

export class History {
  readonly #keys = new OrderedMap<Versions>()
  readonly #leases = new Map<bigint, Set<string>>()
  #log: KeyEvent[] = []
  #revision = FIRST_REVISION
  #compacted = 0
  #bytes = 0
  #presentBytes = 0

  /** How far this node has counted. */
  get revision(): number {
    return this.#revision
  }

  /** Versions before this revision are gone; it can still be read itself. */
  get compacted(): number {
    return this.#compacted
  }

  /** Of all versions that are kept. */
  get bytes(): number {
    return this.#bytes
  }

  /** Of those that were replaced or deleted: what a compaction could give back. */
  get replacedBytes(): number {
    return this.#bytes - this.#presentBytes
  }

  /** Changes that can still be watched. */
  get changes(): number {
    return this.#log.length
  }

  /** Revision of the latest change that is `count` changes old; 0 when there are fewer. */
  revisionBefore(count: number): number {
    return this.#log[this.#log.length - 1 - count]?.kv.modified ?? 0
  }

  /** @throws NodeError as `range`. */
  get(key: string, at = 0): KeyValue | undefined {
    return present(this.#keys.get(key), this.#check(at))
  }

  /** @throws NodeError REVISION_COMPACTED, REVISION_FUTURE. @returns what was there at revision `at` (0: now), sorted. */
  range({ from, to }: KeyRange, at = 0): KeyValue[] {
    const revision = this.#check(at)
    const found: KeyValue[] = []
    if (to === undefined) {
      const kv = present(this.#keys.get(from), revision)
      return kv === undefined ? found : [kv]
    }
    this.#keys.forRange(from, to ?? AFTER_ALL, false, (_, versions) => {
      const kv = present(versions, revision)
      if (kv !== undefined) found.push(kv)
    })
    return found
  }

  /** @throws NodeError as `range`. */
  count({ from, to }: KeyRange, at = 0): number {
    const revision = this.#check(at)
    if (to === undefined) return present(this.#keys.get(from), revision) === undefined ? 0 : 1
    let count = 0
    this.#keys.forRange(from, to ?? AFTER_ALL, false, (_, versions) => {
      if (present(versions, revision) !== undefined) count += 1
    })
    return count
  }

  /** The first `max` changes from revision `from` on. @throws NodeError REVISION_COMPACTED */
  events(from: number, max: number): readonly KeyEvent[] {
    if (from < this.#compacted) throw compactedError(from, this.#compacted)
    const start = this.#indexOf(from)
    return this.#log.slice(start, start + max)
  }

  /** The keys that hang on a lease. */
  keysOf(lease: bigint): readonly string[] {
    return [...(this.#leases.get(lease) ?? [])]
  }

  /** Takes the changes of one revision, in order. */
  apply(events: readonly KeyEvent[], revision: number): void {
    for (const event of events) {
      this.#log.push(event)
      this.#push(event.kv)
    }
    this.#revision = revision
  }

  /** What `apply` took once, as the store gives it back: every version kept, in order. */
  restore(versions: Iterable<KeyValue>, revision: number, compacted: number): void {
    for (const kv of versions) {
      const previous = lastOf(this.#keys.get(kv.key))
      if (kv.modified >= compacted)
        this.#log.push({
          type: kv.isTombstone ? 'delete' : 'put',
          kv,
          previous: previous?.isTombstone ? undefined : previous,
        })
      this.#push(kv)
    }
    this.#revision = Math.max(revision, FIRST_REVISION)
    this.#compacted = compacted
  }

  /** The versions that a compaction at `revision` would drop. @throws NodeError REVISION_COMPACTED, REVISION_FUTURE */
  outlived(revision: number): KeyValue[] {
    if (revision <= this.#compacted) throw compactedError(revision, this.#compacted)
    if (revision > this.#revision) throw futureError(revision, this.#revision)
    const gone = new Set<KeyValue>()
    const end = this.#indexOf(revision + 1)
    for (const key of new Set(this.#log.slice(0, end).map((event) => event.kv.key))) {
      const versions = listOf(this.#keys.get(key))
      const last = versions.findLastIndex((kv) => kv.modified <= revision)
      for (const kv of versions.slice(0, Math.max(0, last))) gone.add(kv)
      const newest = versions[last]
      if (newest?.isTombstone) gone.add(newest)
    }
    return [...gone]
  }

  /** Forgets what `outlived(revision)` gave. */
  compact(revision: number, gone: readonly KeyValue[]): void {
    const dropped = new Set(gone)
    for (const key of new Set(gone.map((kv) => kv.key))) {
      const before = this.#keys.get(key)
      if (before === undefined) continue
      const rest = listOf(before).filter((kv) => !dropped.has(kv))
      if (rest.length === 0) this.#keys.delete(key)
      else this.#keys.set(key, rest.length === 1 ? (rest[0] as KeyValue) : rest)
    }
    for (const kv of gone) this.#bytes -= kv.framed.length
    this.#compacted = revision
    // A deletion at that very revision is gone with its tombstone, as in etcd, and as after a restart.
    this.#log = this.#log.slice(this.#indexOf(revision)).filter(({ kv }) => !dropped.has(kv))
  }

  /** CRC-32 over every version up to `at` in the order of keys: two stores of one history have one hash. */
  hash(at = 0): number {
    const revision = at === 0 ? this.#revision : this.#check(at)
    let hash = 0
    this.#keys.forRange('', AFTER_ALL, false, (_, versions) => {
      for (const kv of listOf(versions)) if (kv.modified <= revision) hash = crc32(kv.framed, hash)
    })
    return hash
  }

  #check(at: number): number {
    if (at <= 0) return this.#revision
    if (at > this.#revision) throw futureError(at, this.#revision)
    if (at < this.#compacted) throw compactedError(at, this.#compacted)
    return at
  }

  #push(kv: KeyValue): void {
    const before = this.#keys.get(kv.key)
    const previous = lastOf(before)
    if (before === undefined) this.#keys.set(kv.key, kv)
    else if (Array.isArray(before)) before.push(kv)
    else this.#keys.set(kv.key, [before, kv])
    this.#bytes += kv.framed.length
    if (previous !== undefined && !previous.isTombstone) this.#presentBytes -= previous.framed.length
    if (!kv.isTombstone) this.#presentBytes += kv.framed.length
    if (previous !== undefined && previous.lease !== kv.lease) this.#detach(previous)
    if (kv.lease === 0n) return
    const attached = this.#leases.get(kv.lease) ?? new Set()
    this.#leases.set(kv.lease, attached.add(kv.key))
  }

  #detach({ key, lease }: KeyValue): void {
    const attached = this.#leases.get(lease)
    attached?.delete(key)
    if (attached?.size === 0) this.#leases.delete(lease)
  }

  /** Of the first change at or after `revision`. */
  #indexOf(revision: number): number {
    let [low, high] = [0, this.#log.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#log[middle] as KeyEvent).kv.modified < revision) low = middle + 1
      else high = middle
    }
    return low
  }
}

function listOf(versions: Versions | undefined): readonly KeyValue[] {
  if (versions === undefined) return []
  return Array.isArray(versions) ? versions : [versions]
}

function lastOf(versions: Versions | undefined): KeyValue | undefined {
  return Array.isArray(versions) ? versions.at(-1) : versions
}

function present(versions: Versions | undefined, revision: number): KeyValue | undefined {
  const kv = Array.isArray(versions) ? versions.findLast((version) => version.modified <= revision) : versions
  return kv === undefined || kv.modified > revision || kv.isTombstone ? undefined : kv
}

function compactedError(revision: number, compacted: number): NodeError {
  const message = `Revision ${revision} is no longer kept; the oldest that is kept is ${compacted}`
  return new NodeError('REVISION_COMPACTED', message, { revision, compacted })
}

function futureError(revision: number, current: number): NodeError {
  return new NodeError(
    'REVISION_FUTURE',
    `Revision ${revision} has not been reached; this node is at ${current}`,
  )
}
