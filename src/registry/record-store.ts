import { decode } from '@ipld/dag-cbor'
import type { AbstractBatchOperation } from 'abstract-level'
import { bytesTable, type Database, DURABLE, defragment, type Table, table } from '../base/database.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import { evidenceMax } from '../base/limits.ts'
import { reopen } from '../identity/envelope.ts'
import type { LeaseRow } from './batch.ts'
import { KeyValue } from './key-value.ts'
import { decodeRecord, hashOf, placeOf, type SealedRecord } from './record.ts'

/** One durable change of the store; after a crash it is there wholly or not at all. */
export interface StoreChange {
  readonly saved?: readonly SealedRecord[]
  readonly removed?: readonly SealedRecord[]
  /** Versions of keys that came to be, and those that a compaction drops. */
  readonly versions?: readonly KeyValue[]
  readonly dropped?: readonly KeyValue[]
  readonly evidence?: readonly SealedRecord[]
  readonly leases?: ReadonlyMap<bigint, LeaseRow | null>
  /** Where the registry stands with this change. */
  readonly revision: number
  readonly compacted: number
}

export interface Loaded {
  readonly records: readonly SealedRecord[]
  /** In the order in which they came to be. */
  readonly versions: readonly KeyValue[]
  readonly leases: readonly LeaseRow[]
  readonly revision: number
  readonly compacted: number
  /** Places that held nothing of use. */
  readonly unusable: readonly string[]
}

interface Progress {
  readonly revision: number
  readonly compacted: number
}

const PROGRESS_KEY = 'progress'
/** What the first format of the store kept among the records; places begin with a slash, so this is none. */
const OLD_REVISION_KEY = 'revision'
/** A record of the first format is a CBOR map with the envelope in it; an envelope begins with a tag of its own. */
const CBOR_MAP = 0xa0
const CBOR_MAP_MASK = 0xe0

type Operation = AbstractBatchOperation<Database, string, unknown>

/**
 * The registry on the disk: records as the envelopes that their authors sealed, and the versions of keys as etcd writes
 * them. A change is one synced batch; once `commit` has resolved it is there.
 */
export class RecordStore {
  readonly #database: Database
  readonly #records: Table<Uint8Array>
  readonly #versions: Table<Uint8Array>
  readonly #evidence: Table<Uint8Array>
  readonly #leases: Table<LeaseJson>
  readonly #progress: Table<Progress>
  /** Where proofs lie: one that is brought again takes no further room. */
  #proofs = new Set<string>()

  constructor(database: Database) {
    this.#database = database
    this.#records = bytesTable(database, 'registry')
    this.#versions = bytesTable(database, 'versions')
    this.#evidence = bytesTable(database, 'evidence')
    this.#leases = table(database, 'leases')
    this.#progress = table(database, 'progress')
  }

  /**
   * All that was kept of a federation. Signatures were checked before records were stored and are not checked again.
   * Records that cannot be read, and those left of another federation, are removed and told.
   *
   * @throws NodeError STORE_FAILED when what is this node's own word (versions, leases) cannot be read.
   */
  async load(federation: string): Promise<Loaded> {
    const records: SealedRecord[] = []
    const unusable: string[] = []
    let oldRevision = 0
    for await (const [place, bytes] of this.#records.iterator()) {
      if (place === OLD_REVISION_KEY) {
        oldRevision = decode(bytes) as number
        continue
      }
      const record = readRecord(bytes)
      if (record?.federation === federation) records.push(record)
      else unusable.push(place)
    }
    await this.#records.batch(
      unusable.map((key) => ({ type: 'del' as const, key })),
      DURABLE,
    )
    const versions: KeyValue[] = []
    for await (const [position, bytes] of this.#versions.iterator()) {
      versions.push(KeyValue.parse(bytes, subOf(position)))
    }
    const leases: LeaseRow[] = []
    for await (const { id, ttlSeconds } of this.#leases.values()) leases.push({ id: BigInt(id), ttlSeconds })
    this.#proofs = new Set(await this.#evidence.keys().all())
    const progress = (await this.#progress.get(PROGRESS_KEY)) ?? {
      revision: oldRevision,
      compacted: oldRevision,
    }
    return { records, versions, leases, ...progress, unusable }
  }

  /** @throws NodeError STORE_FAILED when the disk refuses (full, read-only, broken); nothing of the change is kept. */
  async commit(change: StoreChange): Promise<void> {
    const { revision, compacted } = change
    const operations: Operation[] = []
    const put = (sublevel: unknown, key: string, value: unknown) =>
      operations.push({ type: 'put', key, value, sublevel } as Operation)
    const del = (sublevel: unknown, key: string) =>
      operations.push({ type: 'del', key, sublevel } as Operation)
    for (const record of change.removed ?? []) del(this.#records, placeOf(record))
    for (const record of change.saved ?? []) put(this.#records, placeOf(record), record.envelope)
    for (const kv of change.dropped ?? []) del(this.#versions, positionOf(kv))
    for (const kv of change.versions ?? []) put(this.#versions, positionOf(kv), kv.framed)
    for (const [id, row] of change.leases ?? []) {
      if (row === null) del(this.#leases, String(id))
      else put(this.#leases, String(id), { id: String(id), ttlSeconds: row.ttlSeconds })
    }
    const proofs = this.#newProofs(change.evidence ?? [])
    for (const [place, envelope] of proofs) put(this.#evidence, place, envelope)
    put(this.#progress, PROGRESS_KEY, { revision, compacted })
    try {
      await this.#database.batch(operations, DURABLE)
    } catch (cause) {
      const message = `The registry cannot be written: ${messageOf(cause)}; free some space and try again`
      throw new NodeError('STORE_FAILED', message, {}, { cause })
    }
    for (const place of proofs.keys()) this.#proofs.add(place)
  }

  #newProofs(evidence: readonly SealedRecord[]): ReadonlyMap<string, Uint8Array> {
    const proofs = new Map<string, Uint8Array>()
    for (const proof of evidence) {
      if (this.#proofs.size + proofs.size >= evidenceMax) break
      const place = `${placeOf(proof)} ${proof.hash}`
      if (!this.#proofs.has(place)) proofs.set(place, proof.envelope)
    }
    return proofs
  }

  /** Rewrites the files of the store without what was deleted. @throws NodeError STORE_FAILED */
  async defragment(): Promise<void> {
    try {
      await defragment(this.#database)
    } catch (cause) {
      throw new NodeError('STORE_FAILED', `The store was not rewritten: ${messageOf(cause)}`, {}, { cause })
    }
  }

  /** Envelopes that prove an author gave one version two values. Bounded; later proofs are dropped. */
  async evidence(): Promise<Uint8Array[]> {
    return this.#evidence.values().all()
  }
}

interface LeaseJson {
  readonly id: string
  readonly ttlSeconds: number
}

/** Undefined when another version of this program wrote what this one cannot read. */
function readRecord(bytes: Uint8Array): SealedRecord | undefined {
  try {
    const old = ((bytes[0] ?? 0) & CBOR_MAP_MASK) === CBOR_MAP
    const envelope = old ? (decode(bytes) as { envelope: Uint8Array }).envelope : bytes
    const payload = reopen(envelope)
    return { ...decodeRecord(payload), hash: hashOf(payload), envelope }
  } catch {
    return undefined
  }
}

/** Sorts as revisions do. */
function positionOf({ modified, sub }: KeyValue): string {
  return `${modified.toString(36).padStart(11, '0')}.${sub.toString(36).padStart(5, '0')}`
}

function subOf(position: string): number {
  return Number.parseInt(position.slice(position.indexOf('.') + 1), 36)
}
