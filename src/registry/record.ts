/**
 * The one thing that members share: a signed record (protocols/envelope.md §3). A record says that `author` gave `key`
 * the value `value`; it is sealed by its author, so whoever passes it on can neither change nor invent it.
 */
import { createHash } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { keyBytesMax, namesSharedMax, versionMax } from '../base/limits.ts'
import { bytesSchema } from '../base/schemas.ts'

export interface RegistryRecord {
  /** Id of the federation that the record belongs to; in no other is it valid. */
  readonly federation: string
  readonly key: string
  /** Null is a tombstone: the author deleted the key. */
  readonly value: Uint8Array | null
  /** Counter of the key: a writer goes one above all that it has seen. */
  readonly version: number
  /** When it was written, ms since the epoch by the author's clock; for people, for expiry, never for the order. */
  readonly time: number
  /** When its author first claimed the key in its present life; decides between claims to one name. */
  readonly since: number
  /** From then on the record counts as deleted, ms since the epoch. */
  readonly expires?: number | undefined
  /** Peer id of who wrote and sealed it. */
  readonly author: string
}

/** A record with what was derived from its bytes once. */
export interface SealedRecord extends RegistryRecord {
  /** SHA-256 of the payload, hex: the record's identity. */
  readonly hash: string
  /** The author's original envelope, passed on unchanged. */
  readonly envelope: Uint8Array
}

const time = z.number().int().nonnegative()

const payloadSchema = z.strictObject({
  federation: z.string().min(1).max(100),
  key: z.string().refine(isKey),
  value: bytesSchema.nullable(),
  version: z.number().int().positive().max(versionMax),
  time,
  since: time,
  expires: time.optional(),
  author: z.string().min(1).max(100),
})

const KEY = /^(?:\/[A-Za-z0-9._~-]+)+$/

/** A key is a path of one or more segments of letters, digits and `._~-`, each after a slash. */
export function isKey(key: string): boolean {
  return key.length <= keyBytesMax && KEY.test(key)
}

/** @throws NodeError INVALID_INPUT */
export function checkKey(key: string): void {
  if (isKey(key)) return
  const message = `"${key}" is no registry key: segments of letters, digits and . _ ~ - each after a slash, ${keyBytesMax} bytes at most`
  throw new NodeError('INVALID_INPUT', message, { key })
}

/** The payload's bytes: DAG-CBOR, of which there is exactly one per record. */
export function encodeRecord(record: RegistryRecord): Uint8Array {
  const { expires, ...rest } = record
  return encode(expires === undefined ? rest : { ...rest, expires })
}

/**
 * The value is a view of the payload, which it keeps in memory.
 *
 * @throws Error when the bytes are no DAG-CBOR, or not of a record's shape.
 */
export function decodeRecord(payload: Uint8Array): RegistryRecord {
  const { federation, author, value, ...rest } = payloadSchema.parse(decode(payload))
  const names = { federation: shared(federation), author: shared(author) }
  return { ...rest, ...names, value: value && viewOf(value, payload) }
}

/** The same bytes where they stand in the payload: a registry of many records need not hold each value twice. */
function viewOf(value: Uint8Array, payload: Uint8Array): Uint8Array {
  const at = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).indexOf(value)
  return payload.subarray(at, at + value.length)
}

/** Few federations and authors stand in very many records: each name is kept once. */
const names = new Map<string, string>()

function shared(name: string): string {
  const kept = names.get(name)
  if (kept !== undefined) return kept
  if (names.size >= namesSharedMax) names.clear()
  names.set(name, name)
  return name
}

export function hashOf(payload: Uint8Array): string {
  return createHash('sha256').update(payload).digest('hex')
}

/** The place of a record in the sorted registry; a space sorts before everything that a key may hold. */
export function placeOf(record: Pick<SealedRecord, 'key' | 'author'>): string {
  return `${record.key} ${record.author}`
}

export function isExpired(record: RegistryRecord, nowMs: number): boolean {
  return record.expires !== undefined && record.expires <= nowMs
}
