/**
 * Which datasets a node copies (protocols/dataset-heads.md §5). Everything here is pure; followed.ts asks it.
 */
import { createHash } from 'node:crypto'
import type { Policy } from './policies.ts'
import type { DatasetsSettings } from './settings.ts'

/** What somebody said at this node of one dataset. */
export type Choice = 'follow' | 'unfollow'

/** What a member's place in line makes it, where a number of copies is asked for. */
export type Seat =
  /** Among the first of all members. */
  | 'picked'
  /** Among the first of those that are there, because others are away. */
  | 'stand-in'
  | 'none'

/** Whether a member copies for its place in line, and since when its place says otherwise. */
export interface Standing {
  readonly copies: boolean
  /** Ms of a clock that only goes forward; undefined while it copies as its place says. */
  readonly differsSinceMs?: number
}

export interface FollowQuestion {
  readonly policy: Policy
  /** This node founded it, so that its copy is no replica. */
  readonly isOwner: boolean
  readonly rule: DatasetsSettings['follow']
  readonly choice: Choice | undefined
  /** How many copies are asked for, where a number is. */
  readonly wanted: number | undefined
  readonly copies: boolean
  /** Whether this node may have it, by what is granted. */
  readonly mayRead?: boolean
  /** Its founder has so many datasets that this one is not followed unless it is chosen. */
  readonly isBeyond: boolean
}

export interface FollowDecision {
  readonly followed: boolean
  /** For people. */
  readonly why: string
}

/** Whether a node copies a dataset, and why (dataset-heads.md H20). */
export function decideFollow({
  policy,
  isOwner,
  rule,
  choice,
  wanted,
  copies,
  mayRead = true,
  isBeyond,
}: FollowQuestion): FollowDecision {
  if (policy === 'local-only') return { followed: true, why: 'local-only' }
  if (policy === 'compute-only') {
    return { followed: isOwner, why: isOwner ? 'compute-only, and at home here' : 'compute-only' }
  }
  // [A3] Nobody would give it, so nobody is asked.
  if (!mayRead)
    return { followed: false, why: 'only members with a grant may have it, and this node has none' }
  if (choice !== undefined)
    return { followed: choice === 'follow', why: choice === 'follow' ? 'chosen' : 'not wanted here' }
  if (rule !== 'all') return { followed: false, why: rule === 'none' ? 'follows none' : 'not chosen' }
  if (isBeyond) return { followed: false, why: 'its founder has more than are followed unless chosen' }
  if (wanted === undefined) return { followed: true, why: 'follows all' }
  if (isOwner) return { followed: true, why: 'founded here' }
  const replicas = wanted === 1 ? 'replica' : 'replicas'
  if (copies) return { followed: true, why: `one of ${wanted} wanted ${replicas}` }
  return { followed: false, why: `others keep the ${wanted} wanted ${replicas}` }
}

/**
 * Members in the order in which they are to keep copies of a dataset: rendezvous hashing (Thaler & Ravishankar 1998).
 * Every node computes the same line; one that comes or goes moves nobody else's place relative to the others
 * (dataset-heads.md H21).
 */
export function lineFor(id: string, members: readonly string[]): string[] {
  const weighed = members.map((peer) => ({ peer, weight: weigh(id, peer) }))
  weighed.sort((a, b) => (a.weight < b.weight ? 1 : a.weight > b.weight ? -1 : 0))
  return weighed.map(({ peer }) => peer)
}

/** What `self` is in the line, of which so many are to keep copies. */
export function seatOf(
  line: readonly string[],
  self: string,
  wanted: number,
  live: ReadonlySet<string>,
): Seat {
  if (line.slice(0, wanted).includes(self)) return 'picked'
  // Whoever asks is there, whatever others have heard of it.
  const there = line.filter((peer) => peer === self || live.has(peer))
  return there.slice(0, wanted).includes(self) ? 'stand-in' : 'none'
}

/**
 * A member that is picked copies at once. Standing in for another, and ending to, take `patienceMs` of the same news, so
 * that a member that comes and goes makes nobody else copy, and one that is back has that long to catch up before the one
 * in its place stops (dataset-heads.md H22). Whether it has caught up is not looked at: what the stand-in holds stays.
 *
 * @param nowMs of a clock that only goes forward.
 */
export function nextStanding(
  before: Standing | undefined,
  seat: Seat,
  nowMs: number,
  patienceMs: number,
): Standing {
  if (seat === 'picked') return { copies: true }
  const copies = before?.copies ?? false
  if (copies === (seat === 'stand-in')) return { copies }
  const since = before?.differsSinceMs ?? nowMs
  return nowMs - since >= patienceMs ? { copies: !copies } : { copies, differsSinceMs: since }
}

function weigh(id: string, peer: string): string {
  return createHash('sha256').update(`${id}\n${peer}`).digest('hex')
}
