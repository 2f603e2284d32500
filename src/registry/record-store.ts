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
}

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

  /** All records. Signatures were checked before they were stored and are not checked again. */
  async load(): Promise<StoredRecord[]> {
    const loaded: StoredRecord[] = []
    for await (const bytes of this.#records.values()) loaded.push(decodeStored(bytes))
    this.#evidenceCount = (await this.#evidence.keys().all()).length
    return loaded
  }

  /** @throws NodeError STORE_FAILED when the disk refuses (full, read-only, broken); nothing of the change is kept. */
  async commit(change: StoreChange): Promise<void> {
    const removed = change.removed.map((record) => ({ type: 'del' as const, key: placeOf(record) }))
    const saved = change.saved.map((stored) => ({
      type: 'put' as const,
      key: placeOf(stored.record),
      value: encode({ revision: stored.revision, envelope: stored.record.envelope }),
    }))
    try {
      await this.#records.batch([...removed, ...saved], DURABLE)
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

function decodeStored(bytes: Uint8Array): StoredRecord {
  const stored = decode(bytes) as { revision: number; envelope: Uint8Array }
  const payload = reopen(stored.envelope)
  const record = { ...decodeRecord(payload), hash: hashOf(payload), envelope: stored.envelope }
  return { revision: stored.revision, record }
}
