import { decode, encode } from '@ipld/dag-cbor'
import { bytesTable, type Database, DURABLE, type Table } from '../base/database.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import { evidenceMax } from '../base/limits.ts'
import { reopen } from '../identity/envelope.ts'
import { decodeRecord, hashOf, type SealedRecord } from './record.ts'
import { placeOf } from './state.ts'

/** A record with the revision of this node's registry at which it was committed. */
export interface StoredRecord {
  readonly revision: number
  readonly record: SealedRecord
}

/** One durable change of the store: what was committed and what is no longer kept. */
export interface StoreChange {
  readonly saved: readonly StoredRecord[]
  readonly removed: readonly SealedRecord[]
  /** The revision that the registry has with this change. */
  readonly revision: number
}

export interface Loaded {
  readonly records: readonly StoredRecord[]
  readonly revision: number
  /** Places that held nothing of use. */
  readonly unusable: readonly string[]
}

/** Places begin with a slash, so this is none. */
const REVISION_KEY = 'revision'

/**
 * The records on the disk, as the envelopes that their authors sealed. A change is one synced batch: after a crash it
 * is there wholly or not at all, and once `commit` has resolved it is there.
 */
export class RecordStore {
  readonly #records: Table<Uint8Array>
  readonly #evidence: Table<Uint8Array>
  #evidenceCount = 0

  constructor(database: Database) {
    this.#records = bytesTable(database, 'registry')
    this.#evidence = bytesTable(database, 'evidence')
  }

  /**
   * All records of a federation, and the revision that was reached. Signatures were checked before they were stored and
   * are not checked again. What cannot be read, and what is left of another federation, is removed and told.
   */
  async load(federation: string): Promise<Loaded> {
    const records: StoredRecord[] = []
    const unusable: string[] = []
    let revision = 0
    for await (const [key, bytes] of this.#records.iterator()) {
      if (key === REVISION_KEY) {
        revision = Math.max(revision, decode(bytes) as number)
        continue
      }
      const stored = decodeStored(bytes)
      if (stored === undefined || stored.record.federation !== federation) unusable.push(key)
      else records.push(stored)
      revision = Math.max(revision, stored?.revision ?? 0)
    }
    await this.#records.batch(
      unusable.map((key) => ({ type: 'del' as const, key })),
      DURABLE,
    )
    this.#evidenceCount = (await this.#evidence.keys().all()).length
    return { records, revision, unusable }
  }

  /** @throws NodeError STORE_FAILED when the disk refuses (full, read-only, broken); nothing of the change is kept. */
  async commit(change: StoreChange): Promise<void> {
    const removed = change.removed.map((record) => ({ type: 'del' as const, key: placeOf(record) }))
    const saved = change.saved.map((stored) => ({
      type: 'put' as const,
      key: placeOf(stored.record),
      value: bytesOf({ revision: stored.revision, envelope: stored.record.envelope }),
    }))
    const revision = { type: 'put' as const, key: REVISION_KEY, value: bytesOf(change.revision) }
    try {
      await this.#records.batch([...removed, ...saved, revision], DURABLE)
    } catch (cause) {
      const message = `The registry cannot be written: ${messageOf(cause)}; free some space and try again`
      throw new NodeError('STORE_FAILED', message, {}, { cause })
    }
  }

  /** Keeps proof that an author gave one version two values. Bounded; later proofs are dropped. */
  async keepEvidence(record: SealedRecord): Promise<void> {
    if (this.#evidenceCount >= evidenceMax) return
    this.#evidenceCount += 1
    await this.#evidence.put(`${placeOf(record)} ${record.hash}`, record.envelope, DURABLE)
  }

  async evidence(): Promise<Uint8Array[]> {
    return this.#evidence.values().all()
  }
}

/** As CBOR, without the type of what is in it. */
function bytesOf(value: unknown): Uint8Array {
  return encode(value)
}

/** Undefined when another version of this program wrote what this one cannot read. */
function decodeStored(bytes: Uint8Array): StoredRecord | undefined {
  try {
    const stored = decode(bytes) as { revision: number; envelope: Uint8Array }
    const payload = reopen(stored.envelope)
    const record = { ...decodeRecord(payload), hash: hashOf(payload), envelope: stored.envelope }
    return { revision: stored.revision, record }
  } catch {
    return undefined
  }
}
