import { authorBytesMax, claimsPerKeyMax, recordOverheadBytes } from '../base/limits.ts'
import { compare } from './order.ts'
import type { SealedRecord } from './record.ts'

/** [M3] Puts the claims to one key in order, best first. Pure; it must depend on the claims alone, not on their order. */
export type Arrange = (claims: readonly SealedRecord[]) => SealedRecord[]

/** The claims to every key, and what each author keeps there: of the registry, or of what a commit would make of it. */
export interface Claims {
  /** Arranged: the first is shown. */
  claims(key: string): readonly SealedRecord[]
  /** What the records of an author weigh together, bytes. */
  bytesOf(author: string): number
}

export type Merge =
  | { outcome: 'newer'; replaced: SealedRecord | undefined; dropped: SealedRecord | undefined }
  | { outcome: 'duplicate' | 'stale' | 'crowded' }
  /** The author gave one version two values: `loser` is kept as proof. */
  | { outcome: 'equivocation'; keepsOurs: boolean; loser: SealedRecord }

/**
 * What merging `record` would do (protocols/registry-gossip.md §3). Pure. Of one author the record that orders last is
 * kept [M2], a maximum, and the claims of a key are a set [M3]: nothing depends on the order of arrival.
 */
export function merge(held: Claims, record: SealedRecord, arrange: Arrange): Merge {
  const claims = held.claims(record.key)
  const ours = claims.find((claim) => claim.author === record.author)
  if (ours !== undefined) {
    const order = compare(ours, record)
    if (order === 0) return { outcome: 'duplicate' }
    // [M5] The loser is kept apart, so that anybody can be shown what the author did.
    if (ours.version === record.version) {
      const keepsOurs = order > 0
      if (!keepsOurs && exceeds(held, record, ours)) return { outcome: 'crowded' }
      return { outcome: 'equivocation', keepsOurs, loser: keepsOurs ? record : ours }
    }
    if (order > 0) return { outcome: 'stale' }
    if (exceeds(held, record, ours)) return { outcome: 'crowded' }
    return { outcome: 'newer', replaced: ours, dropped: undefined }
  }
  if (exceeds(held, record, undefined)) return { outcome: 'crowded' }
  if (claims.length < claimsPerKeyMax) return { outcome: 'newer', replaced: undefined, dropped: undefined }
  // [M4] Whoever hears of all claims keeps the same ones, whichever it heard of first.
  const last = arrange([...claims, record]).at(-1)
  if (last === record) return { outcome: 'crowded' }
  return { outcome: 'newer', replaced: undefined, dropped: last }
}

/** The claims to the record's key once it is among them. Pure. */
export function claimsWith(
  held: Claims,
  record: SealedRecord,
  dropped: SealedRecord | undefined,
  arrange: Arrange,
) {
  const others = held.claims(record.key).filter((c) => c.author !== record.author && c !== dropped)
  return arrange([...others, record])
}

/** What a record counts against its author's share. */
export function weightOf(record: SealedRecord): number {
  return record.envelope.length + recordOverheadBytes
}

/** What the first of arranged claims shows: nothing when it is a tombstone. */
export function shownOf(claims: readonly SealedRecord[]): SealedRecord | undefined {
  const first = claims[0]
  return first?.value === null ? undefined : first
}

/** [M6] Whether its author would keep more than its share with `record` in place of `ours`. */
function exceeds(held: Claims, record: SealedRecord, ours: SealedRecord | undefined): boolean {
  const kept = held.bytesOf(record.author) - (ours === undefined ? 0 : weightOf(ours))
  return kept + weightOf(record) > authorBytesMax
}
