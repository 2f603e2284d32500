/**
 * What a roll is made of (protocols/verification.md §4): sealed registry records of the federation about who its members
 * are, which key follows which, and who votes on the dataset. Each is signed by who wrote it, so it does not matter who
 * brought it.
 */
import { proofFileBytesMax } from '../../base/limits-proofs.ts'
import { base64Schema } from '../../base/schemas.ts'
import { type GrantRecord, grantSchema } from '../../datasets/access.ts'
import { DATASET_PREFIX, datasetSchema, type SharedRecord } from '../../datasets/dataset-record.ts'
import { proofOf } from '../../datasets/name-claims.ts'
import { type MemberRecord, memberSchema } from '../../federation/standing.ts'
import { refuseSuccession, SUCCESSIONS, successionSchema } from '../../federation/successions.ts'
import { open } from '../../identity/envelope.ts'
import { decodeJson } from '../../registry/collection.ts'
import { decodeRecord, hashOf } from '../../registry/record.ts'

export const MEMBERS_PREFIX = '/members/'
export const GRANTS_PREFIX = '/grants/'

interface Signed {
  /** SHA-256 of the record's payload, hex. */
  readonly hash: string
  readonly author: string
  /** When it was written, ms, by its author's clock. */
  readonly timeMs: number
}

export type RollRecord =
  | (Signed & { kind: 'word'; peer: string; sinceMs: number; value: MemberRecord })
  | (Signed & { kind: 'succession'; peer: string; successor: string })
  | (Signed & { kind: 'dataset'; value: SharedRecord; founder: string })
  | (Signed & { kind: 'grant'; peer: string; value: GrantRecord })

export interface RollContext {
  readonly federation: string
  readonly dataset: string
}

/**
 * Opens one record of a roll.
 *
 * @returns the record, or why it has no place in this dataset's roll [R1], as a sentence without its subject.
 */
export async function readRollRecord(
  envelope: Uint8Array,
  context: RollContext,
): Promise<RollRecord | string> {
  if (envelope.length > proofFileBytesMax) return 'is larger than a record can be'
  try {
    const { author, payload } = await open('record', envelope)
    const record = decodeRecord(payload)
    const { key, value, time: timeMs, since: sinceMs } = record
    if (record.author !== author || record.federation !== context.federation)
      return 'is no record of its signer in this federation'
    if (value === null) return 'is a tombstone'
    const signed = { hash: hashOf(payload), author, timeMs }
    const json = decodeJson(value)
    if (key.startsWith(MEMBERS_PREFIX)) {
      const word = memberSchema.safeParse(json).data
      const peer = key.slice(MEMBERS_PREFIX.length)
      return word === undefined
        ? 'is no word about a member'
        : { kind: 'word', ...signed, peer, sinceMs, value: word }
    }
    if (key.startsWith(SUCCESSIONS)) {
      if (key !== SUCCESSIONS + author) return 'is a succession of another key'
      const refused = await refuseSuccession(record)
      if (refused !== undefined) return `is no succession that holds: ${refused}`
      const { successor, proof } = successionSchema.parse(json)
      if (!base64Schema.safeParse(proof).success) return 'is no succession in the one spelling'
      return { kind: 'succession', ...signed, peer: author, successor }
    }
    if (key === DATASET_PREFIX + context.dataset) return datasetOf(signed, context.dataset, json)
    if (key.startsWith(`${GRANTS_PREFIX}${context.dataset}/`)) {
      const [peer = '', writer, ...rest] = key
        .slice(GRANTS_PREFIX.length + context.dataset.length + 1)
        .split('/')
      const grant = grantSchema.safeParse(json).data
      if (grant === undefined || writer !== author || rest.length > 0) return 'is no grant'
      return { kind: 'grant', ...signed, peer, value: grant }
    }
    return 'is under a key that says nothing about who votes here'
  } catch {
    return 'does not open: its signature or its form does not hold'
  }
}

/** The founder stands in the id, so that nobody else can have founded it (dataset-heads.md §1). */
function datasetOf(signed: Signed, name: string, json: unknown): RollRecord | string {
  const value = datasetSchema.safeParse(json).data
  if (value === undefined) return 'is no record of a dataset'
  if (!proofOf(name, signed.author, value).holds) return 'has an id that does not follow from its founder'
  return { kind: 'dataset', ...signed, value, founder: value.founder ?? signed.author }
}

/** In the order in which they are read: by time, of one time by hash. */
export function inOrder<T extends { readonly timeMs: number; readonly hash: string }>(
  records: readonly T[],
): T[] {
  return [...records].sort((a, b) => a.timeMs - b.timeMs || (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0))
}
