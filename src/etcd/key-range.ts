/**
 * etcd's ranges over our keys. etcd compares keys byte by byte; ours are ASCII, so bytes read as Latin-1 compare as
 * text does. Pure.
 */
import { PREFIXES, ruleOf } from '../federation/keyspace.ts'

/** From `from` (inclusive) to `to` (exclusive); `to` undefined is one key, null is without end. */
export interface KeyRange {
  readonly from: string
  readonly to: string | null | undefined
}

/** `etcdctl endpoint health` asks for this key, and takes any answer but an error for health. */
const HEALTH_KEY = 'health'

/** A `range_end` of one zero byte means: to the end. */
const TO_THE_END = '\0'

export function rangeOf(key: Buffer, rangeEnd: Buffer): KeyRange {
  const to = rangeEnd.toString('latin1')
  return { from: key.toString('latin1'), to: to === '' ? undefined : to === TO_THE_END ? null : to }
}

export function isWithin(key: string, range: KeyRange): boolean {
  if (range.to === undefined) return key === range.from
  return key >= range.from && (range.to === null || key < range.to)
}

/** True when the federation shares a key that lies in the range, or could. */
export function isShared(range: KeyRange): boolean {
  const { from, to } = range
  if (to === undefined) return ruleOf(from) !== undefined || from === HEALTH_KEY
  return PREFIXES.some((prefix) => from < endOf(prefix) && (to === null || to > prefix))
}

/** The registry's prefix that holds the whole range: short, but enough not to look at every key for one tool. */
export function prefixOf(range: KeyRange): string {
  const { from, to } = range
  return to !== undefined && to !== null && from !== '' && to === endOf(from) ? from : '/'
}

/** The first key after all that begin with `prefix`, as etcd's clients compute it. */
function endOf(prefix: string): string {
  const last = prefix.length - 1
  return prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1)
}
