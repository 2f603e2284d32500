import { seal } from '../../src/identity/envelope.ts'
import { generateIdentity, type Identity } from '../../src/identity/node-key.ts'
import { Draft, type Standing } from '../../src/registry/draft.ts'
import { History } from '../../src/registry/history.ts'
import type { Policy } from '../../src/registry/judge.ts'
import type { Arrange, Merge } from '../../src/registry/merge.ts'
import { encodeRecord, hashOf, type RegistryRecord, type SealedRecord } from '../../src/registry/record.ts'
import type { State } from '../../src/registry/state.ts'

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

/** Lets everybody write everything, and shows the claims as they come. */
export const openPolicy: Policy = {
  admit: async () => undefined,
  arrange: (claims) => [...claims],
  kindOf: () => 'shared',
  lifeMs: () => undefined,
}

/** A registry in memory, as drafts lie upon it. */
export function standingOf(state: State, history = new History()): Standing {
  return {
    claims: (key) => state.claims(key),
    bytesOf: (author) => state.bytesOf(author),
    get: (key) => history.get(key),
    range: (range) => history.range(range),
  }
}

/** Merges one record as a commit would. */
export function take(state: State, record: SealedRecord, arrange: Arrange): Merge {
  const draft = new Draft(standingOf(state), 1)
  const merged = draft.take(record, arrange)
  for (const [key, claims] of draft.changedClaims) state.replace(key, claims)
  return merged
}

export const newIdentity = generateIdentity
