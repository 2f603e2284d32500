/**
 * Locks (protocols/voting.md §4), after Castro & Liskov 1999 and Buchman, Kwon & Milosevic 2018: what a node may sign
 * follows from what it has signed before, in all rounds of the dataset together, and from the results for which it has
 * seen a quorum of votes. Pure; all of it is derived from records.
 */
import {
  clockSkewMaxMs,
  renewalGuardMs,
  renewalPatienceMs,
  renewalTurnMs,
  renewalWindowMs,
} from '../base/limits.ts'
import { lineUp } from './rendezvous.ts'
import type { Prepared } from './round.ts'
import { formatRoundId, type RoundId } from './round-id.ts'

/** A result, and the view in which it was signed. */
export interface Signed {
  readonly round: RoundId
  readonly closing: string
  readonly commit: string
  readonly view: number
}

export interface PreparedResult extends Prepared {
  readonly round: RoundId
}

/** What binds this node in the open height of a dataset. */
export interface Standing {
  /** The latest view in which it has voted, in any round of the dataset; -1 when it never did. */
  readonly votedMs: number
  /** The same of what it has confirmed. */
  readonly confirmedMs: number
  /** What it confirmed last, unless that can never be certified any more. */
  readonly lock?: Signed | undefined
  /** The results of this height that a quorum voted for, one of each round, the latest view first. */
  readonly prepared: readonly PreparedResult[]
  /** Who has voted again, and for what. */
  readonly renewals: readonly (Omit<Signed, 'commit'> & {
    readonly peer: string
    readonly commit: string | null
  })[]
}

export const UNBOUND: Standing = { votedMs: -1, confirmedMs: -1, prepared: [], renewals: [] }

export function isSame(a: Omit<Signed, 'view'>, b: Omit<Signed, 'view'>): boolean {
  return a.closing === b.closing && a.commit === b.commit && formatRoundId(a.round) === formatRoundId(b.round)
}

/** [L3] Whether the lock leaves this node free to vote for `result` because a quorum did in a later view. */
export function isFreeFor(result: Signed, { lock }: Pick<Standing, 'lock'>): boolean {
  return lock === undefined || isSame(lock, result) || lock.view < result.view
}

/**
 * [L2] Whether this node may confirm `result`: it has voted in no later view, and confirmed none as late.
 *
 * A result that is voted on again is confirmed in its own window only, and not at its very end: whoever comes first in
 * the next one shall know what the others are locked on.
 */
export function mayConfirm(result: PreparedResult, standing: Standing, now: number): boolean {
  const { view, opening } = result
  if (standing.votedMs > view || standing.confirmedMs >= view) return false
  return view === opening.value.openedMs || now < view + renewalWindowMs - renewalGuardMs
}

export type Renewal =
  | { readonly do: 'vote'; readonly result: PreparedResult; readonly view: number }
  | { readonly do: 'wait'; readonly untilMs: number }

/**
 * [L4] What this node votes for again, and in which view; or until when there is nothing to do.
 *
 * Everybody votes for what has the latest quorum of votes. Where not all know the same, the first in line of the window
 * is followed, as far as the lock allows.
 */
export function renewal(
  standing: Standing,
  self: string,
  members: readonly string[],
  now: number,
): Renewal | undefined {
  const [latest] = standing.prepared
  if (latest === undefined) return undefined
  const view = windowOf(latest, standing, now)
  const last = Math.max(latest.view, standing.votedMs, standing.confirmedMs)
  if (view <= last) return { do: 'wait', untilMs: view + renewalWindowMs }
  const patientMs = latest.seenMs + renewalPatienceMs
  if (now < patientMs) return { do: 'wait', untilMs: patientMs }
  const vote = (result: PreparedResult): Renewal | undefined =>
    isFreeFor({ ...result, closing: result.closing.hash }, standing)
      ? { do: 'vote', result, view }
      : undefined
  const [first] = lineUp(`${latest.round.dataset}/${view}`, 'renewal', members)
  if (first === self) return vote(latest)
  const asked = standing.renewals.find((one) => one.peer === first && one.view === view)
  const followed = standing.prepared.find(
    (one) => asked !== undefined && one.view < view && isAbout(one, asked),
  )
  const following = followed && vote(followed)
  if (following !== undefined) return following
  const turnMs = Math.max(view, patientMs) + renewalTurnMs
  return now < turnMs ? { do: 'wait', untilMs: turnMs } : vote(latest)
}

/** The window that is now: by this node's clock, or by those of more than a third who have gone on to a later one. */
function windowOf({ opening }: PreparedResult, { renewals }: Standing, now: number): number {
  const own = now - (now % renewalWindowMs)
  const { electorate } = opening.value
  const views = new Map<string, number>()
  for (const { peer, view } of renewals) {
    if (!electorate.includes(peer) || view % renewalWindowMs !== 0 || view > now + clockSkewMaxMs) continue
    views.set(peer, Math.max(view, views.get(peer) ?? 0))
  }
  // One honest member at least is there: as many as these cannot all be lying.
  const sorted = [...views.values()].sort((a, b) => b - a)
  return Math.max(own, sorted[Math.floor(electorate.length / 3)] ?? 0)
}

function isAbout(
  result: PreparedResult,
  vote: { round: RoundId; closing: string; commit: string | null },
): boolean {
  const { closing, commit, round } = result
  return (
    closing.hash === vote.closing &&
    commit === vote.commit &&
    formatRoundId(round) === formatRoundId(vote.round)
  )
}
