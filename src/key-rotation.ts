/**
 * A new key for a node that is stopped (`maoctl instance rotate-key`). The old key names its successor in the registry,
 * what lies sealed is sealed for the new key, and one durable write decides about all of it.
 */
import type { AbstractBatchOperation } from 'abstract-level'
import { type Clock, systemClock } from './base/clock.ts'
import { bytesTable, type Database, DURABLE, openDatabase } from './base/database.ts'
import { NodeError } from './base/errors.ts'
import { SEALING_PURPOSE, SealedValues } from './execution/secrets/sealed-values.ts'
import { FederationMemory } from './federation/memory.ts'
import { SUCCESSIONS, successionOf } from './federation/successions.ts'
import { derivedKey } from './identity/derived-key.ts'
import { seal } from './identity/envelope.ts'
import { finishKeyChange, keyChanges, prepareKey } from './identity/key-change.ts'
import { type Identity, loadIdentity } from './identity/node-key.ts'
import { encodeRecord, placeOf } from './registry/record.ts'
import { RecordStore } from './registry/record-store.ts'

export interface RotatedKey {
  /** Peer ids. */
  readonly from: string
  readonly to: string
  /** Name of the federation whose members are told, where the node is in one. */
  readonly federation?: string
  /** Values that were sealed anew, such as secrets. */
  readonly resealed: number
}

type Operation = AbstractBatchOperation<Database, string, unknown>

/**
 * @throws NodeError DATA_IN_USE while the node runs, STORE_FAILED (a value that this node's key does not open), CONFLICT
 * when the key of this node was replaced before.
 */
export async function rotateKey(directory: string, clock: Clock = systemClock): Promise<RotatedKey> {
  const database = await openDatabase(directory)
  try {
    await finishKeyChange(directory, database)
    const old = await loadIdentity(directory)
    const remembered = await new FederationMemory(database).recall()
    const next = await prepareKey(directory)
    const changes = keyChanges(database)
    const operations: unknown[] = [
      {
        type: 'put',
        sublevel: changes.table,
        key: changes.key,
        value: { from: old.peerId, to: next.peerId },
      },
    ]
    if (remembered !== undefined) {
      const { federation } = remembered.genesis
      operations.push(await successionIn(database, { federation, old, next, nowMs: clock.now() }))
    }
    const sealed = new SealedValues({ database, key: derivedKey(old.privateKey, SEALING_PURPOSE) })
    const resealed = await sealed.resealed(derivedKey(next.privateKey, SEALING_PURPOSE))
    operations.push(...resealed)
    // Before this the node is the old one, after it the new one, whatever is cut short.
    await database.batch(operations as Operation[], DURABLE)
    await finishKeyChange(directory, database)
    const told = remembered === undefined ? {} : { federation: remembered.genesis.name }
    return { from: old.peerId, to: next.peerId, ...told, resealed: resealed.length }
  } finally {
    await database.close()
  }
}

interface Succeeding {
  readonly federation: string
  readonly old: Identity
  readonly next: Identity
  readonly nowMs: number
}

/** The old key's last record, as the store keeps records; the others take it from this node at the first contact. */
async function successionIn(
  database: Database,
  { federation, old, next, nowMs }: Succeeding,
): Promise<unknown> {
  const key = SUCCESSIONS + old.peerId
  const { records } = await new RecordStore(database).load(federation)
  if (records.some((record) => record.key === key)) {
    throw new NodeError('CONFLICT', `${old.peerId} was replaced by another key before`, { peer: old.peerId })
  }
  const value = successionOf(federation, old.peerId, next)
  const record = { federation, key, value, version: 1, time: nowMs, since: nowMs, author: old.peerId }
  const envelope = seal('record', encodeRecord(record), old)
  return { type: 'put', sublevel: bytesTable(database, 'registry'), key: placeOf(record), value: envelope }
}
