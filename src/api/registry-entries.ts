/** What the API tells of keys, their versions and their claims. Pure but for what the rooms show at that moment. */

import { eventValueBytesMax } from '../base/limits.ts'
import { keyBytes, latin1 } from '../registry/key-range.ts'
import type { KeyValue } from '../registry/key-value.ts'
import type { KeyEvent } from '../registry/transaction.ts'
import type { Entry } from '../registry/watchers.ts'
import type { ApiRooms } from './api-node.ts'
import { isContested } from './contested.ts'
import type { ChangeView, ClaimView, EntryDetail, EntryView } from './registry-views.ts'

type Rooms = Pick<ApiRooms, 'registry' | 'members'>

/** Control characters but line ends and tabs: what has them is no text for people. */
const NO_TEXT = /[^\P{Cc}\n\r\t]/u
const LEASE_DIGITS = 16

/** The registry's form of a key that was written as text: its UTF-8 bytes as Latin-1 (registry/key-range.ts). */
export function keyOf(text: string): string {
  return latin1(Buffer.from(text, 'utf8'))
}

/** A key as text; beside it its bytes where they are none. */
export function keyView(key: string): { key: string; keyBase64?: string } {
  const bytes = keyBytes(key)
  const text = textOf(bytes)
  return text === undefined
    ? { key: bytes.toString('utf8'), keyBase64: bytes.toString('base64') }
    : { key: text }
}

/** A value for people: the JSON it holds, else its text, else its bytes. */
export function valueView(bytes: Uint8Array): { value: unknown; encoding: 'json' | 'text' | 'base64' } {
  const text = textOf(bytes)
  if (text === undefined) return { value: Buffer.from(bytes).toString('base64'), encoding: 'base64' }
  try {
    const value: unknown = JSON.parse(text)
    // A number of many digits, or written otherwise than JSON writes it, would not come out as it went in.
    if (typeof value === 'object' || JSON.stringify(value) === text) return { value, encoding: 'json' }
  } catch {
    // Not JSON: nothing is wrong with that, a value is bytes.
  }
  return { value: text, encoding: 'text' }
}

export function entryView(rooms: Rooms, kv: KeyValue, { keysOnly = false } = {}): EntryView {
  const kind = rooms.registry.keyValues.kindOf(kv.key) === 'shared' ? ('shared' as const) : ('local' as const)
  const record = recordOf(rooms, kv)
  return {
    ...keyView(kv.key),
    kind,
    ...(keysOnly ? {} : valueView(kv.value)),
    revision: kv.modified,
    createdRevision: kv.created,
    writes: kv.version,
    ...leaseView(rooms, kv),
    ...(record === undefined ? {} : recordView(rooms, record)),
    contested: record !== undefined && isContested(record),
  }
}

export function entryDetail(rooms: Rooms, kv: KeyValue): EntryDetail {
  const claims = recordOf(rooms, kv) === undefined ? [] : rooms.registry.claims(kv.key)
  return {
    ...entryView(rooms, kv),
    claims: claims.map((claim, index) => claimView(rooms, claim, index === 0)),
  }
}

/** A change as a watch tells it: large values are there to be read. */
export function changeView(rooms: Rooms, { type, kv }: KeyEvent): ChangeView {
  if (type === 'delete') return { ...keyView(kv.key), type }
  const { value } = kv
  const told = value.length <= eventValueBytesMax ? valueView(value) : { valueBytes: value.length }
  const record = recordOf(rooms, kv)
  const by =
    record === undefined ? {} : { contested: isContested(record), ...authorView(rooms, record.author) }
  return { ...keyView(kv.key), type, ...told, writes: kv.version, ...by }
}

function claimView(rooms: Rooms, claim: Entry, shown: boolean): ClaimView {
  return { ...recordView(rooms, claim), sinceMs: claim.sinceMs, shown, ...valueView(claim.value) }
}

function recordView(rooms: Rooms, { author, version, timeMs, expiresMs }: Entry) {
  const expiry = expiresMs === undefined ? {} : { expiresMs }
  return { ...authorView(rooms, author), version, timeMs, ...expiry }
}

function authorView({ members }: Rooms, author: string): { author: string; authorName?: string } {
  const name = members.get(author)?.name
  return name === undefined ? { author } : { author, authorName: name }
}

/** The record that a version shows; undefined for a local key, and for a version that was replaced. */
function recordOf({ registry }: Rooms, kv: KeyValue): Entry | undefined {
  if (registry.keyValues.kindOf(kv.key) !== 'shared') return undefined
  const entry = registry.get(kv.key)
  return entry?.revision === kv.modified ? entry : undefined
}

function leaseView(
  { registry }: Rooms,
  { lease }: KeyValue,
): { lease?: { id: string; ttlSeconds?: number } } {
  if (lease === 0n) return {}
  const id = BigInt.asUintN(64, lease).toString(16).padStart(LEASE_DIGITS, '0')
  const left = registry.keyValues.leases.timeToLive(lease)?.ttlSeconds
  return { lease: left === undefined ? { id } : { id, ttlSeconds: left } }
}

/** Undefined for bytes that are no text. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return NO_TEXT.test(text) ? undefined : text
  } catch {
    // Not UTF-8: bytes of something else.
    return undefined
  }
}
