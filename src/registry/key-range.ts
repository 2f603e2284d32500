/**
 * Ranges of keys as etcd knows them. Keys are bytes; they are held as Latin-1 text, so that text sorts as bytes do.
 * Pure.
 */

/** From `from` (inclusive) to `to` (exclusive); `to` undefined is that one key, null is without end. */
export interface KeyRange {
  readonly from: string
  readonly to: string | null | undefined
}

/** A `range_end` of one zero byte means: to the end. */
const TO_THE_END = '\0'

export const EVERY_KEY: KeyRange = { from: '', to: null }

/** The range that a key and a `range_end` name, as etcd's requests carry them. */
export function rangeOf(key: Uint8Array, rangeEnd: Uint8Array): KeyRange {
  const to = latin1(rangeEnd)
  return { from: latin1(key), to: to === '' ? undefined : to === TO_THE_END ? null : to }
}

/** All keys that begin with `prefix`. */
export function rangeBelow(prefix: string): KeyRange {
  return { from: prefix, to: endOf(prefix) }
}

export function isWithin(key: string, range: KeyRange): boolean {
  if (range.to === undefined) return key === range.from
  return key >= range.from && (range.to === null || key < range.to)
}

export function overlaps(a: KeyRange, b: KeyRange): boolean {
  return startsBefore(a.from, b) && startsBefore(b.from, a)
}

/** The first key after all that begin with `prefix`, as etcd's clients compute it; null when there is none. */
export function endOf(prefix: string): string | null {
  for (let last = prefix.length - 1; last >= 0; last -= 1) {
    const code = prefix.charCodeAt(last)
    if (code < 0xff) return prefix.slice(0, last) + String.fromCharCode(code + 1)
  }
  return null
}

export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** The bytes of a key that is held as Latin-1 text. */
export function keyBytes(key: string): Buffer {
  return Buffer.from(key, 'latin1')
}

/** Whether `from` stands before the end of `range`. */
function startsBefore(from: string, range: KeyRange): boolean {
  if (range.to === undefined) return from <= range.from
  return range.to === null || from < range.to
}
