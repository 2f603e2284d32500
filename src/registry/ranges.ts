/**
 * Range-based set reconciliation over the sorted registry, after A. Meyer, "Range-Based Set Reconciliation" (SRDS 2023):
 * two peers compare one digest for a range of places; where it differs, the range is split and the parts are compared,
 * until the differing parts are small enough to be listed. The traffic grows with the difference and the logarithm of
 * the size, not with the size. Pure.
 */
import type { SealedRecord } from './record.ts'
import { digestOf, placeOf } from './state.ts'

/** Places from `from` (inclusive) up to `to` (exclusive; null: to the end). */
export interface Range {
  readonly from: string
  readonly to: string | null
}

/** A range as one side holds it. */
export interface RangeDigest extends Range {
  readonly digest: string
}

/** What one place holds: where it is, and the hash of the record there. */
export type Held = readonly [place: string, hash: string]

export type RangeAnswer =
  | { readonly kind: 'same' }
  | { readonly kind: 'list'; readonly held: readonly Held[] }
  | { readonly kind: 'split'; readonly parts: readonly RangeDigest[] }

/** Ranges up to this many records are listed rather than split. */
const LISTED_MAX = 64
/** Parts of a split. */
const PARTS = 16

export const EVERYTHING: Range = { from: '', to: null }

/** `records` must be sorted by place. */
export function within(records: readonly SealedRecord[], range: Range): readonly SealedRecord[] {
  const start = lowerBound(records, range.from)
  const end = range.to === null ? records.length : lowerBound(records, range.to)
  return records.slice(start, Math.max(start, end))
}

export function digestRange(records: readonly SealedRecord[], range: Range): RangeDigest {
  return { ...range, digest: digestOf(within(records, range)) }
}

/** What the side that holds `records` answers to the other side's digest of a range. */
export function answer(records: readonly SealedRecord[], asked: RangeDigest): RangeAnswer {
  const inside = within(records, asked)
  if (digestOf(inside) === asked.digest) return { kind: 'same' }
  if (inside.length <= LISTED_MAX) {
    return { kind: 'list', held: inside.map((record) => [placeOf(record), record.hash]) }
  }
  const size = Math.ceil(inside.length / PARTS)
  const parts: RangeDigest[] = []
  for (let start = 0; start < inside.length; start += size) {
    const slice = inside.slice(start, start + size)
    const next = inside[start + size]
    // The outer bounds stay those asked for, so that nothing of the other side falls between two parts.
    const from = start === 0 ? asked.from : placeOf(slice[0] as SealedRecord)
    const to = next === undefined ? asked.to : placeOf(next)
    parts.push({ from, to, digest: digestOf(slice) })
  }
  return { kind: 'split', parts }
}

/** The places of `held` that `records` lack or hold with another hash. */
export function lacking(records: readonly SealedRecord[], held: readonly Held[]): string[] {
  const missing: string[] = []
  for (const [place, hash] of held) {
    const ours = records[lowerBound(records, place)]
    if (ours === undefined || placeOf(ours) !== place || ours.hash !== hash) missing.push(place)
  }
  return missing
}

/** Index of the first record at or after `place`. */
export function lowerBound(records: readonly SealedRecord[], place: string): number {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (placeOf(records[middle] as SealedRecord) < place) low = middle + 1
    else high = middle
  }
  return low
}
