import { seal } from '../../src/identity/envelope.ts'
import { generateIdentity, type Identity } from '../../src/identity/node-key.ts'
import { encodeRecord, hashOf, type RegistryRecord, type SealedRecord } from '../../src/registry/record.ts'

export const FEDERATION = 'maotest'

/** A record of `identity`, sealed; `fields` replaces what it would say. */
export async function sealRecord(
  identity: Identity,
  fields: Partial<RegistryRecord> & { key: string },
): Promise<SealedRecord> {
  const now = Date.now()
  const record: RegistryRecord = {
    federation: FEDERATION,
    value: new TextEncoder().encode('value'),
    version: 1,
    time: now,
    since: fields.time ?? now,
    author: identity.peerId,
    ...fields,
  }
  const payload = encodeRecord(record)
  return { ...record, hash: hashOf(payload), envelope: await seal('record', payload, identity) }
}

/** A record as the pure functions see it, without a signature: `author` is any text. */
export function plainRecord(fields: Partial<RegistryRecord> & { key: string; author: string }): SealedRecord {
  const record: RegistryRecord = {
    federation: FEDERATION,
    value: new Uint8Array([1]),
    version: 1,
    time: 1_000,
    since: fields.time ?? 1_000,
    ...fields,
  }
  return { ...record, hash: hashOf(encodeRecord(record)), envelope: new Uint8Array() }
}

export const newIdentity = generateIdentity
