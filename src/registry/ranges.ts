/**
 * Range-based set reconciliation over the sorted registry, after A. Meyer, "Range-Based Set Reconciliation" (SRDS 2023):
 * two peers compare one digest for a range of places; where it differs, the range is split and the parts are compared,
 * until a part is small enough to be exchanged. The traffic grows with the difference and the logarithm of the size,
 * not with the size. Pure.
 */
import { NodeError } from '../base/errors.ts'
import {
  syncListedMax,
  syncPartHeldMax,
  syncPartRecordsMax,
  syncPartsMax,
  syncRecordsPerFrameMax,
} from '../base/limits.ts'
import { placeOf, type SealedRecord } from './record.ts'
import { after, type Range, type RecordIndex } from './record-index.ts'
import { atOnce, type Sliced } from './sync-slices.ts'

export { EVERYTHING, type Range } from './record-index.ts'

/** What is asked of the records by those who reconcile them. */
export type View = Pick<
  RecordIndex,
  'get' | 'within' | 'first' | 'count' | 'digest' | 'measuring' | 'splitting'
>

/** A range as one side holds it. */
export interface RangeDigest extends Range {
  readonly digest: string
}

/** A part of a split range: it ends where the next begins, the last where the range ends. */
export interface Part {
  readonly from: string
  readonly digest: string
  /** How many records the server holds there. */
  readonly count: number
}

/** What one place holds, as far as it takes to tell which of two records at one place wins (registry-gossip.md §3). */
export interface Held {
  readonly place: string
  readonly version: number
  readonly hash: string
}

/** Where the digests differ, `digest` is that of the side that answers. */
export type RangeAnswer =
  | { readonly kind: 'same' }
  | { readonly kind: 'list'; readonly digest: string; readonly held: readonly Held[] }
  | { readonly kind: 'split'; readonly digest: string; readonly parts: readonly Part[] }

/** A differing range as the other side says it holds it. */
export interface Differing extends Range {
  /** Undefined where it has named places alone. */
  readonly digest: string | undefined
  readonly count: number
}

/** What follows from an answer: ranges to compare further, and ranges whose records are to be fetched. */
export interface Step {
  readonly compare: readonly Differing[]
  readonly fetch: readonly Differing[]
}

/** A range to be fetched, but for what does not win over that which the asking side holds there. */
export interface Wanted extends Range {
  readonly have: readonly Held[]
}

/** What of the wanted ranges fitted an answer, and where the rest begins. */
export interface Fetched {
  readonly envelopes: readonly Uint8Array[]
  readonly next: { readonly range: number; readonly from: string } | null
}

/** What the side that holds `index` answers to the other side's digest of a range. */
export function answer(index: View, asked: RangeDigest): RangeAnswer {
  return atOnce(answering(index, asked))
}

/** As `answer`, in slices: what changes meanwhile may be in the answer or not, and the next question tells. */
export function* answering(index: View, asked: RangeDigest): Sliced<RangeAnswer> {
  const { digest } = yield* index.measuring(asked)
  if (digest === asked.digest) return { kind: 'same' }
  const few = index.first(asked, syncListedMax + 1)
  if (few.length > syncListedMax) {
    const parts: Part[] = []
    for (const part of yield* index.splitting(asked, syncPartsMax)) {
      parts.push({ from: part.from, ...(yield* index.measuring(part)) })
    }
    // Unless most of it was deleted meanwhile.
    if (parts.length > 1) return { kind: 'split', digest, parts }
  }
  return { kind: 'list', digest, held: few.slice(0, syncListedMax).map(heldOf) }
}

/**
 * What the side that holds `index` does with the answer to its digest of a range.
 *
 * @throws NodeError INVALID_INPUT for an answer that no honest side gives [S8].
 */
export function follow(index: View, asked: Range, answered: RangeAnswer): Step {
  if (answered.kind === 'same') return { compare: [], fetch: [] }
  if (answered.kind === 'list') return { compare: [], fetch: lacking(index, asked, answered.held) }
  const step: { compare: Differing[]; fetch: Differing[] } = { compare: [], fetch: [] }
  for (const part of partsOf(asked, answered.parts)) {
    if (part.count === 0 || isSettled(index, part)) continue
    step[isFetched(index, part) ? 'fetch' : 'compare'].push(part)
  }
  return step
}

/** True when what differed is the same by now, as when another peer brought it. */
export function isSettled(index: View, { from, to, digest }: Differing): boolean {
  return digest !== undefined && index.digest({ from, to }) === digest
}

/**
 * [S11] True when fetching a differing range costs less than comparing its parts: where nothing of it is held here, and where
 * the hashes of what is held here are few, also beside what is there.
 */
export function isFetched(index: View, range: Differing): boolean {
  const held = index.count(range)
  if (held === 0) return true
  if (held > syncPartHeldMax) return false
  return range.digest === undefined || (range.count <= syncPartRecordsMax && held <= 4 * range.count)
}

export function wanted(index: View, { from, to }: Range): Wanted {
  return { from, to, have: index.within({ from, to }).map(heldOf) }
}

function heldOf(record: SealedRecord): Held {
  const { version, hash } = record
  return { place: placeOf(record), version, hash }
}

/** Whether the record of one side at a place wins over what the other holds there, if it does. */
function wins(record: Omit<Held, 'place'>, held: Omit<Held, 'place'> | undefined): boolean {
  if (held === undefined) return true
  // One place has one author, so that version and hash decide.
  return record.version === held.version ? record.hash > held.hash : record.version > held.version
}

/** What is asked for: ranges in order, none of which overlaps another, but for the records of some authors. */
export interface Wish {
  readonly ranges: readonly Wanted[]
  readonly except: readonly string[]
}

/** What of a wish fits one answer of about `bytesMax`: at least one record, unless nothing is lacking. */
export function collect(index: View, wish: Wish, bytesMax: number): Fetched {
  return atOnce(collecting(index, wish, bytesMax))
}

/** As `collect`, in slices: what changes meanwhile may be in the answer or not. */
export function* collecting(index: View, wish: Wish, bytesMax: number): Sliced<Fetched> {
  const except = new Set(wish.except)
  const envelopes: Uint8Array[] = []
  let bytes = 0
  for (const [range, want] of wish.ranges.entries()) {
    const have = new Map(want.have.map((held) => [held.place, held]))
    for (const records of inSlices(index, want)) {
      for (const record of records) {
        if (except.has(record.author) || !wins(record, have.get(placeOf(record)))) continue
        if (bytes >= bytesMax || envelopes.length >= syncRecordsPerFrameMax) {
          return { envelopes, next: { range, from: placeOf(record) } }
        }
        envelopes.push(record.envelope)
        bytes += record.envelope.length
      }
      yield
    }
  }
  return { envelopes, next: null }
}

/**
 * The ranges that an answer left open, of those that were asked for.
 *
 * @throws NodeError INVALID_INPUT when it brought nothing, or does not move on [S8].
 */
export function remaining(ranges: readonly Range[], { envelopes, next }: Fetched): Range[] {
  if (next === null) return []
  const range = ranges[next.range]
  const movesOn = range !== undefined && (next.range > 0 || next.from > range.from)
  const inside = range !== undefined && next.from >= range.from && (range.to === null || next.from < range.to)
  if (envelopes.length === 0 || !movesOn || !inside) throw dishonest('An answer does not move on')
  return [{ from: next.from, to: range.to }, ...ranges.slice(next.range + 1)]
}

/** The places of a list whose records win over what is held here. */
function lacking(index: View, asked: Range, held: readonly Held[]): Differing[] {
  const missing: Differing[] = []
  let before: string | undefined
  for (const theirs of held) {
    const { place } = theirs
    const inside = place >= asked.from && (asked.to === null || place < asked.to)
    if (!inside || (before !== undefined && place <= before)) throw dishonest('A list leaves its range')
    before = place
    if (wins(theirs, index.get(place))) missing.push({ ...onlyAt(place), digest: undefined, count: 1 })
  }
  return missing
}

function onlyAt(place: string): Range {
  return { from: place, to: after(place) }
}

/** Parts cover their range without a gap or an overlap, and each is smaller: checked, not believed. */
function partsOf(asked: Range, parts: readonly Part[]): Differing[] {
  if (parts.length < 2 || parts[0]?.from !== asked.from) throw dishonest('A split does not cover its range')
  return parts.map((part, index) => {
    const to = parts[index + 1]?.from ?? asked.to
    if (to !== null && to <= part.from) throw dishonest('The parts of a split overlap')
    return { from: part.from, to, digest: part.digest, count: part.count }
  })
}

/** The records of a range, some at a time: an answer seldom needs all of a large one. */
function* inSlices(index: View, { from, to }: Range): Iterable<readonly SealedRecord[]> {
  for (let rest: string | undefined = from; rest !== undefined; ) {
    const records = index.first({ from: rest, to }, syncPartRecordsMax)
    yield records
    const last = records[syncPartRecordsMax - 1]
    rest = last === undefined ? undefined : after(placeOf(last))
  }
}

function dishonest(message: string): NodeError {
  return new NodeError('INVALID_INPUT', message)
}
