/**
 * Counting votes and confirmations (protocols/voting.md §4): who signed what in which view, and whether these are a
 * quorum. A vote says "this is the result", a confirmation "a quorum voted for it". Pure.
 */
import { isDecisive, type Voter } from './quorum.ts'
import type { Closing, Confirmation, Opening, Signed, Vote } from './records.ts'

/** Of what a member signed: whose it is, and when it was signed and seen, ms. */
export interface SeenWord {
  readonly peer: string
  readonly timeMs: number
  readonly seenMs: number
  /** As its author sealed it; what the author writes later does not make it unsaid. */
  readonly sealed: Uint8Array
}

export interface SeenVote extends Vote, SeenWord {}
export interface SeenConfirmation extends Confirmation, SeenWord {}

/** A result that a quorum signed in one view. */
export interface Quorum {
  readonly commit: string
  readonly view: number
  /** Peer ids, sorted. */
  readonly signers: readonly string[]
  /** When the last signature that it took was seen here. */
  readonly seenMs: number
}

/** True for the vote of a member's own counting, which comes before any that repeats what a quorum voted for. */
export function isFirst({ view }: Pick<Vote, 'view'>, { openedMs }: Pick<Opening, 'openedMs'>): boolean {
  return view === openedMs
}

/** [V5] Those that count: by the electorate, and first votes in time. */
export function countingVotes(votes: readonly SeenVote[], opening: Opening): SeenVote[] {
  const { electorate, openedMs, votesUntilMs } = opening
  return votes.filter(({ peer, view, timeMs }) => {
    return electorate.includes(peer) && (view > openedMs || (view === openedMs && timeMs <= votesUntilMs))
  })
}

/** What each member of the electorate said in the end: of several votes that count, its latest. */
export function lastVotes(votes: readonly SeenVote[], opening: Opening): SeenVote[] {
  const last = new Map<string, SeenVote>()
  for (const vote of countingVotes(votes, opening)) {
    const known = last.get(vote.peer)
    // Of two of one view the one that was heard first counts: the other one is no honest member's.
    if (known === undefined || vote.view > known.view) last.set(vote.peer, vote)
  }
  return [...last.values()]
}

/** The result of `closing` that a quorum signed, of several the one of the latest view; null is no result. */
export function quorumFor(
  signed: readonly (SeenVote | SeenConfirmation)[],
  opening: Signed<Opening>,
  closing: Signed<Closing>,
  members: readonly Voter[],
): Quorum | undefined {
  const groups = new Map<string, { commit: string; view: number; seen: Map<string, number> }>()
  for (const { peer, closing: named, commit, view, seenMs } of signed) {
    if (commit === null || named !== closing.hash || view < opening.value.openedMs) continue
    const name = `${view} ${commit}`
    const group = groups.get(name) ?? { commit, view, seen: new Map<string, number>() }
    groups.set(name, group)
    if (!group.seen.has(peer)) group.seen.set(peer, seenMs)
  }
  const latest = [...groups.values()].sort((a, b) => b.view - a.view)
  for (const { commit, view, seen } of latest) {
    const signers = [...seen.keys()].filter((peer) => opening.value.electorate.includes(peer)).sort()
    if (!isDecisive(signers, opening.value, members)) continue
    const times = signers.map((peer) => seen.get(peer) ?? 0).sort((a, b) => a - b)
    const seenMs = times[opening.value.quorum.votes - 1] ?? times.at(-1) ?? 0
    return { commit, view, signers, seenMs }
  }
  return undefined
}
