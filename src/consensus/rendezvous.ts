import { createHash } from 'node:crypto'
import { takeOverMs } from '../base/limits.ts'

/** What somebody has to do once in a round; each duty has its own line of members. */
export type Duty = 'opening' | 'closing' | 'certificate' | 'renewal' | 'work'

/**
 * The members in the order in which they are to do `duty` in `round`: rendezvous hashing (Thaler & Ravishankar 1998).
 * Every node computes the same line from the same names, no member is always first, and one that leaves moves nobody
 * else's place relative to the others.
 */
export function lineUp(round: string, duty: Duty, members: readonly string[]): string[] {
  const weighed = members.map((peer) => ({ peer, weight: weigh(round, duty, peer) }))
  weighed.sort((a, b) => (a.weight < b.weight ? 1 : a.weight > b.weight ? -1 : 0))
  return weighed.map(({ peer }) => peer)
}

/**
 * When `self` is to act on what is due since `dueMs`: the first in line at once, each next one `takeOverMs` after the
 * one before, so that a silent member delays a round and never stops it.
 *
 * @returns ms since the epoch, or undefined when `self` is not in line.
 */
export function turnMs(line: readonly string[], self: string, dueMs: number): number | undefined {
  const place = line.indexOf(self)
  return place < 0 ? undefined : dueMs + place * takeOverMs
}

function weigh(round: string, duty: Duty, peer: string): string {
  return createHash('sha256').update(`${duty}\n${round}\n${peer}`).digest('hex')
}
