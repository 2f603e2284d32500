/**
 * The store as a snapshot of etcd (protocols/etcd.md §9): a database that a stock etcd starts on, with every version that
 * this node still keeps, followed by its SHA-256. What is sent is the store as it was when it was asked for.
 */
import { createHash } from 'node:crypto'
import { etcdSnapshotChunkBytes } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { EVERY_KEY } from '../registry/key-range.ts'
import type { KeyValue } from '../registry/key-value.ts'
import type { KeyValueStore } from '../registry/key-value-store.ts'
import type { Leases } from '../registry/leases.ts'
import type { Call } from './call.ts'
import { type Bucket, type Pair, SnapshotDatabase } from './snapshot-database.ts'
import { toStatus } from './status.ts'

export interface SnapshotParts {
  readonly keyValues: Pick<KeyValueStore, 'range' | 'events' | 'compacted'> & {
    readonly leases: Pick<Leases, 'list' | 'timeToLive'>
  }
  readonly log: Logger
}

/** Of etcd's revisions as keys: `<main>_<sub>`, and `t` behind it for a deletion. */
const REVISION_BYTES = 17
const UNDERSCORE = 0x5f
const DELETED = 0x74
/** What etcd keeps there, when it has nothing to keep there. */
const EMPTY_BUCKETS = ['alarm', 'auth', 'authRoles', 'authUsers', 'cluster', 'members', 'members_removed']

/** Answers a Snapshot call: the database in pieces, as fast as the client takes them, then its hash. */
export function sendSnapshot(call: Call<object>, { keyValues, log }: SnapshotParts): void {
  let over = false
  let drained: () => void = () => undefined
  call.onDrain(() => drained())
  call.onClose(() => {
    over = true
    drained()
  })
  call.onEnd(() => undefined)
  const send = async () => {
    const database = new SnapshotDatabase(bucketsOf(keyValues))
    const hash = createHash('sha256')
    let left = database.bytes
    for (const blob of chunksOf(database)) {
      hash.update(blob)
      left -= blob.length
      const room = call.write({ remaining_bytes: left, blob })
      if (!room && !over) await new Promise<void>((resolve) => (drained = resolve))
      if (over) return
    }
    call.write({ remaining_bytes: 0, blob: hash.digest() })
    call.end()
  }
  let asked = false
  call.onMessage(() => {
    if (asked) return
    asked = true
    send().catch((error: unknown) => call.end(toStatus(error, log)))
  })
}

function* chunksOf(database: SnapshotDatabase): Generator<Buffer> {
  let pages: Buffer[] = []
  let bytes = 0
  for (const page of database.pages()) {
    pages.push(page)
    bytes += page.length
    if (bytes < etcdSnapshotChunkBytes) continue
    yield Buffer.concat(pages)
    pages = []
    bytes = 0
  }
  if (bytes > 0) yield Buffer.concat(pages)
}

/** The buckets of an etcd database, sorted by name. */
function bucketsOf(keyValues: SnapshotParts['keyValues']): Bucket[] {
  const buckets = [keyBucket(keyValues), leaseBucket(keyValues.leases), metaBucket(keyValues.compacted)]
  for (const name of EMPTY_BUCKETS) buckets.push(bucketOf(name, []))
  return buckets.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Every version that is kept, by its revision. */
function keyBucket(keyValues: SnapshotParts['keyValues']): Bucket {
  const { compacted } = keyValues
  const old =
    compacted === 0 ? [] : keyValues.range(EVERY_KEY, compacted).filter((kv) => kv.modified < compacted)
  const recent = keyValues.events(compacted, Number.POSITIVE_INFINITY).map(({ kv }) => kv)
  const versions = [...old, ...recent].sort((a, b) => a.modified - b.modified || a.sub - b.sub)
  const pair = (index: number) => {
    const kv = versions[index] as KeyValue
    return { key: revisionKey(kv.modified, kv.sub, kv.isTombstone), value: kv.encoded }
  }
  return { name: 'key', count: versions.length, pair }
}

function leaseBucket(leases: SnapshotParts['keyValues']['leases']): Bucket {
  const pairs = leases.list().map((id): Pair => {
    const { grantedSeconds = 0 } = leases.timeToLive(id) ?? {}
    const key = Buffer.alloc(8)
    key.writeBigInt64BE(id)
    // leasepb.Lease: id and time.
    return { key, value: Buffer.from([0x08, ...varint(id), 0x10, ...varint(BigInt(grantedSeconds))]) }
  })
  pairs.sort((a, b) => Buffer.compare(a.key, b.key))
  return bucketOf('lease', pairs)
}

function metaBucket(compacted: number): Bucket {
  const pairs: Pair[] = [{ key: Buffer.from('consistent_index'), value: Buffer.alloc(8) }]
  if (compacted > 0) {
    const value = revisionKey(compacted, 0, false)
    pairs.push({ key: Buffer.from('finishedCompactRev'), value })
    pairs.push({ key: Buffer.from('scheduledCompactRev'), value })
  }
  return bucketOf('meta', pairs)
}

function bucketOf(name: string, pairs: readonly Pair[]): Bucket {
  return { name, count: pairs.length, pair: (index) => pairs[index] as Pair }
}

function revisionKey(main: number, sub: number, deleted: boolean): Buffer {
  const key = Buffer.alloc(deleted ? REVISION_BYTES + 1 : REVISION_BYTES, DELETED)
  key.writeBigUInt64BE(BigInt(main), 0)
  key[8] = UNDERSCORE
  key.writeBigUInt64BE(BigInt(sub), 9)
  return key
}

function varint(value: bigint): number[] {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, value)
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return [...bytes, Number(rest)]
}
