import { tombstoneGraceMs, tombstoneLifeMs } from '../base/limits.ts'
import { type Arrange, type Claims, claimsWith } from './merge.ts'
import { isExpired, type SealedRecord } from './record.ts'

/**
 * What is left of the arranged claims to one key by `nowMs` (protocols/registry-gossip.md §7). Pure.
 *
 * A tombstone outlives any plausible absence of a member. What it buries goes first and the tombstone a grace later:
 * nodes sweep at slightly different times, and one that had forgotten the tombstone would take a buried claim back from
 * one that had not.
 */
export function outliving(claims: readonly SealedRecord[], nowMs: number): readonly SealedRecord[] {
  const gone = new Set<SealedRecord>()
  for (const [index, claim] of claims.entries()) {
    // [F1]
    if (isExpired(claim, nowMs)) gone.add(claim)
    // [F2]
    if (claim.value !== null || claim.time + tombstoneLifeMs >= nowMs) continue
    if (claim.time + tombstoneLifeMs + tombstoneGraceMs < nowMs) gone.add(claim)
    // Claims are arranged: live ones stand before a tombstone, buried ones behind it.
    for (const buried of claims.slice(index + 1)) if (buried.value !== null) gone.add(buried)
  }
  return gone.size === 0 ? claims : claims.filter((claim) => !gone.has(claim))
}

/**
 * [F3] True when a record would be forgotten as soon as it were among the claims to its key: taken back from a node with a
 * slower clock, what a tombstone buries would stay as long as the tombstone, and could outlive it somewhere. Pure.
 */
export function isForgotten(held: Claims, record: SealedRecord, arrange: Arrange, nowMs: number): boolean {
  if (isExpired(record, nowMs)) return true
  if (record.value === null) return record.time + tombstoneLifeMs + tombstoneGraceMs < nowMs
  const isOld = ({ value, time }: SealedRecord) => value === null && time + tombstoneLifeMs < nowMs
  if (!held.claims(record.key).some(isOld)) return false
  return !outliving(claimsWith(held, record, undefined, arrange), nowMs).includes(record)
}
