/**
 * What a node does next in a round (protocols/voting.md §4): a pure function of what it knows and the time. The shell
 * (consensus.ts) does it; the simulation does it without a network. Nothing here trusts who happens to be first: each
 * duty has a line of members, and the next one steps in when the one before is silent.
 */
import { voteWindowMinMs } from '../base/limits.ts'
import { chooseClosing, close, isSignable } from './closings.ts'
import { openersOf } from './openers.ts'
import { refuseOpening } from './opening.ts'
import { type Decision, Plan, type Rival, type Situation, type Wish } from './plan.ts'
import type { Claim, Opening } from './records.ts'
import {
  closingPatienceMs,
  heldUntilMs,
  isQuiet,
  isSpent,
  projectRound,
  type RoundFacts,
  type RoundRecords,
  type RoundStatus,
} from './round.ts'
import { formatRoundId } from './round-id.ts'
import { certify, confirm, renew, show, vote } from './signing.ts'
import { PLAIN_TERMS } from './terms.ts'

/** What `self` is to do in the round at `now`; deterministic, and without effect until it is done. */
export function nextActions(situation: Situation, self: string, now: number): Decision {
  const plan = new Plan(now)
  const { records, members, wish } = situation
  const acceptable: Claim<Opening>[] = []
  for (const claim of records.openings) {
    const reason = refuseOpening(claim, records.id, members, situation.terms ?? PLAIN_TERMS, now)
    if (reason === undefined) acceptable.push(claim)
    else plan.act({ do: 'refuse', record: claim.hash, reason })
  }
  const status = projectRound(records, factsOf(situation), now)
  if (status?.state === 'decided') certify(plan, situation, status, self)
  // [O3] A false opening ends nothing: the round is still to be opened by somebody else.
  const undecided =
    status?.state === 'undecided' && status.refusal === undefined && !isToReopen(status, wish, now)
  if (status?.state === 'decided' || undecided) return plan.decision()
  // What has a quorum of votes is confirmed, or voted on again; nothing else can come of the round any more.
  if (status?.prepared !== undefined) {
    if (confirm(plan, situation, status.prepared, self)) return plan.decision()
    show(plan, situation, status.prepared)
    renew(plan, situation, status.prepared, self)
    return plan.decision()
  }
  const live = acceptable.filter((claim) => !isSpent(claim, records, now))
  cast(plan, situation, live[0], self)
  if (live.length === 0 && wish !== undefined) open(plan, situation, wish, self)
  const mine = live.filter(({ value }) => value.electorate.includes(self))
  for (const opening of mine) {
    const { cutoffMs, votesUntilMs } = opening.value
    for (const timeMs of [cutoffMs, cutoffMs + closingPatienceMs, votesUntilMs]) plan.wakeAt(timeMs)
    const choice = chooseClosing(plan, situation, opening, self)
    if (choice === 'none') continue
    if (choice !== 'wait') vote(plan, situation, opening, choice, self)
    return plan.decision()
  }
  if (mine[0] !== undefined) close(plan, situation, mine[0], self)
  return plan.decision()
}

/** [O3] A round that nobody could take part in, whose time by this node's schedule has not gone by, is opened in earnest. */
export function isToReopen({ reason }: RoundStatus, wish: Wish | undefined, now: number): boolean {
  return reason === 'too-few-ballots' && wish !== undefined && now < wish.sinceMs + wish.windowMs
}

/** The facts of `projectRound` that a situation holds. */
export function factsOf(known: Pick<Situation, 'certified' | 'members' | 'terms'>): RoundFacts {
  const { certified, members, terms } = known
  const truth = certified && { ...certified, round: formatRoundId(certified.round) }
  return { truth, members, terms }
}

/** What a round is to the others of its dataset. */
export function rivalOf(records: RoundRecords, status: RoundStatus, facts: RoundFacts, self: string): Rival {
  const { state, opening, refusal } = status
  const own = records.votes.filter(({ peer }) => peer === self)
  return {
    id: records.id,
    height: opening.value.height,
    state,
    votesUntilMs: opening.value.votesUntilMs,
    voted: own.length > 0,
    votedUntilMs: Math.max(opening.value.cutoffMs, ...own.map(({ seenMs }) => seenMs)) + voteWindowMinMs,
    signable: state === 'closed' && isSignable(records, opening),
    openedBy: opening.value.openedBy,
    quiet: isQuiet(records, opening.value),
    refused: refusal !== undefined,
    heldUntilMs: heldUntilMs(records, status, facts),
  }
}

/**
 * The rounds that another one of the dataset has to wait for ([O4]). [O5] Of one opener's quiet rounds one may, or a
 * member could hold everybody up by opening one after the other.
 */
export function holding(rivals: readonly Rival[], now: number): Rival[] {
  const quiet = rivals.filter((rival) => rival.quiet && !rival.refused)
  return rivals.filter((rival) => {
    if (now >= rival.heldUntilMs) return false
    return !rival.quiet || quiet.every((other) => other === rival || other.openedBy !== rival.openedBy)
  })
}

function cast(plan: Plan, situation: Situation, opening: Claim<Opening> | undefined, self: string): void {
  const { records, candidate, wish } = situation
  if (candidate === undefined || records.ballots.some(({ peer }) => peer === self)) return
  const invited =
    opening === undefined
      ? wish !== undefined
      : opening.value.electorate.includes(self) && plan.now < opening.value.cutoffMs
  if (invited) plan.act({ do: 'cast', ballot: candidate })
}

function open(plan: Plan, situation: Situation, wish: Wish, self: string): void {
  const { records, members, terms, truth, rivals } = situation
  if (plan.now >= wish.sinceMs + wish.windowMs) return
  // One round after the other: two at once would compete for one parent, and one of them would be for nothing.
  const patientMs = wish.sinceMs + wish.windowMs / 2
  const before = holding(rivals, plan.now).map((r) =>
    r.quiet ? Math.min(r.heldUntilMs, patientMs) : r.heldUntilMs,
  )
  if (before.some((untilMs) => plan.isBefore(untilMs))) return
  const line = openersOf({ id: records.id, members, terms, parent: truth.commit })
  if (plan.isTurn(line, self, wish.sinceMs)) plan.act({ do: 'open', windowMs: wish.windowMs })
}
