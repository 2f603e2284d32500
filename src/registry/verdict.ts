import type { Merge } from './merge.ts'
import type { SealedRecord } from './record.ts'

/** Why a record was not taken (the verdict table of protocols/registry-gossip.md §4). */
export type RejectCode =
  | 'BAD_ENVELOPE'
  | 'MALFORMED'
  | 'FOREIGN_FEDERATION'
  | 'AUTHOR_MISMATCH'
  | 'INVALID_VALUE'
export type IgnoreCode =
  | 'FUTURE'
  | 'EXPIRED'
  | 'DUPLICATE'
  | 'STALE'
  | 'CROWDED'
  | 'EQUIVOCATION'
  | 'UNKNOWN_AUTHOR'
  | 'NOT_ALLOWED'
  | 'NOT_PROVEN'
  | 'STORE_FAILED'

export type VerdictCode = 'ACCEPTED' | RejectCode | IgnoreCode

/**
 * Reject is for what is provably bad, and costs its sender. Ignore is for what is stale, known, or not (yet) known to
 * be good by us: an honest peer may well have sent it.
 */
export type Refusal =
  | { readonly action: 'reject'; readonly code: RejectCode; readonly reason: string }
  | { readonly action: 'ignore'; readonly code: IgnoreCode; readonly reason: string }

export type Verdict = { readonly action: 'accept'; readonly record: SealedRecord } | Refusal

export function reject(code: RejectCode, reason: string): Refusal {
  return { action: 'reject', code, reason }
}

export function ignore(code: IgnoreCode, reason: string): Refusal {
  return { action: 'ignore', code, reason }
}

/** What a merge that kept nothing is to its sender; undefined when the record was kept. */
export function mergeRefusal(merged: Merge): Refusal | undefined {
  switch (merged.outcome) {
    case 'newer':
      return undefined
    case 'duplicate':
      return ignore('DUPLICATE', 'The record is known')
    case 'stale':
      return ignore('STALE', 'A later record of its author is known')
    case 'crowded':
      return ignore(
        'CROWDED',
        'Too many members claim this key, or its author keeps too much in the registry',
      )
    case 'equivocation':
      if (!merged.keepsOurs) return undefined
      return ignore('EQUIVOCATION', 'Its author gave one version two values, and the other one is kept')
  }
}
