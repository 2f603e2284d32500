import type { SealedRecord } from './record.ts'

/** What the order looks at. */
export type Ordered = Pick<SealedRecord, 'version' | 'author' | 'hash'>

/**
 * [M1] The total order of the records of one key (protocols/registry-gossip.md §3): by version, then author, then hash.
 * Two records compare equal only when they are the same record, so a tie cannot be settled differently on two nodes.
 *
 * @returns negative when `a` orders before `b`, zero when they are one record, positive when after.
 */
export function compare(a: Ordered, b: Ordered): number {
  if (a.version !== b.version) return a.version - b.version
  if (a.author !== b.author) return a.author < b.author ? -1 : 1
  if (a.hash !== b.hash) return a.hash < b.hash ? -1 : 1
  return 0
}
