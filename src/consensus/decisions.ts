/**
 * What a node does next in a round (protocols/voting.md §4): a pure function of what it knows and the time. The shell
 * (consensus.ts) does it; the simulation does it without a network. Nothing here trusts who happens to be first: each
 * duty has a line of members, and the next one steps in when the one before is silent.
 */
import { cutoffMarginMs } from '../base/limits.ts'
import { compareRanks, type Rank } from './certificate.ts'
import { openersOf } from './openers.ts'
import { refuseOpening, type Truth } from './opening.ts'
import type { Voter } from './quorum.ts'
import type { Ballot, Claim, Closing, Opening } from './records.ts'
import { lineUp, turnMs } from './rendezvous.ts'
import {
  closingPatienceMs,
  eligibleBallots,
  heldUntilMs,
  isCounting,
  isEnough,
  isEquivocal,
  isQuiet,
  projectRound,
  type RoundFacts,
  type RoundRecords,
  type RoundStatus,
  type SeenBallot,
  votesInTime,
} from './round.ts'
import { compareRounds, formatRoundId, type RoundId } from './round-id.ts'
import { PLAIN_TERMS, type TermsOf } from './terms.ts'

/** Another round of the same dataset. */
export interface Rival {
  readonly id: RoundId
  readonly height: number
  readonly state: RoundStatus['state']
  /** When it ends at the latest. */
  readonly votesUntilMs: number
  /** This node has signed a result of it. */
  readonly voted: boolean
  readonly openedBy: string
  /** Nobody but its opener has cast a ballot in it. */
  readonly quiet: boolean
  /** Its opening is not in order, so that nobody honest takes part in it. */
  readonly refused: boolean
  /** Until when no other round is opened beside it, ms; 0 when it keeps nobody waiting. */
  readonly heldUntilMs: number
}

/** What counting a closing's ballots gave; null for a tie, which is signed as such. */
export interface Outcome {
  readonly commit: string | null
}

/** The output of this node's own scheduled run, which asks for a round. */
export interface Wish {
  readonly sinceMs: number
  readonly windowMs: number
}

/** Everything that `nextActions` looks at. */
export interface Situation {
  readonly records: RoundRecords
  readonly members: readonly Voter[]
  /** What the dataset asks of its rounds. */
  readonly terms?: TermsOf | undefined
  /** The truth that this node holds. */
  readonly truth: Truth
  /** The certificate in the registry, if there is one. */
  readonly certified?: Rank | undefined
  /** What this node would cast. */
  readonly candidate?: Ballot | undefined
  readonly wish?: Wish | undefined
  readonly rivals: readonly Rival[]
  /** When the latest round of the dataset that this node signed in was opened; 0 when it never signed. */
  readonly signedMs: number
  /** When the latest round of the dataset was opened that this node knows of and believes; 0 when there is none. */
  readonly latestMs: number
  /** By hash of the closing. */
  readonly outcomes: ReadonlyMap<string, Outcome>
}

export type Action =
  | { readonly do: 'open'; readonly windowMs: number }
  | { readonly do: 'cast'; readonly ballot: Ballot }
  | { readonly do: 'close'; readonly opening: Claim<Opening>; readonly ballots: ReadonlyMap<string, Ballot> }
  | { readonly do: 'count'; readonly opening: Claim<Opening>; readonly closing: Claim<Closing> }
  | { readonly do: 'vote'; readonly closing: string; readonly commit: string | null }
  | { readonly do: 'certify'; readonly status: RoundStatus }
  /** Nothing to do but to say so: this node will not sign that record. */
  | { readonly do: 'refuse'; readonly record: string; readonly reason: string }

export interface Decision {
  readonly actions: readonly Action[]
  /** When to look again even if nothing changes, ms since the epoch. */
  readonly wakeMs?: number | undefined
}

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
  const undecided = status?.state === 'undecided' && status.refusal === undefined
  if (status?.state === 'decided' || undecided) return plan.decision()
  cast(plan, situation, acceptable[0], self)
  if (acceptable.length === 0 && wish !== undefined) open(plan, situation, wish, self)
  const mine = acceptable.filter(({ value }) => value.electorate.includes(self))
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

/** The facts of `projectRound` that a situation holds. */
export function factsOf(known: Pick<Situation, 'certified' | 'members' | 'terms'>): RoundFacts {
  const { certified, members, terms } = known
  const truth = certified && { ...certified, round: formatRoundId(certified.round) }
  return { truth, members, terms }
}

/** What a round is to the others of its dataset. */
export function rivalOf(records: RoundRecords, status: RoundStatus, facts: RoundFacts, self: string): Rival {
  const { state, opening, refusal } = status
  return {
    id: records.id,
    height: opening.value.height,
    state,
    votesUntilMs: opening.value.votesUntilMs,
    voted: records.votes.some(({ peer }) => peer === self),
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

export type ClosingJudgement =
  | { readonly verdict: 'sign' }
  | { readonly verdict: 'wait' | 'refuse'; readonly reason: string }

/**
 * Whether this node may sign a result of `closing`. Refused is what can never become right; to wait is for what may
 * still be on its way.
 */
export function judgeClosing(
  closing: Closing,
  opening: Claim<Opening>,
  records: RoundRecords,
  now: number,
): ClosingJudgement {
  const { electorate, cutoffMs } = opening.value
  const counted = Object.entries(closing.ballots)
  if (!isCounting(closing, opening))
    return refuse('it does not count as many ballots as the opening asks for')
  for (const [peer, ballot] of counted) {
    const seen = records.ballots.filter((b) => b.peer === peer)
    const match = seen.find((b) => b.commit === ballot.commit && b.tree === ballot.tree)
    if (match === undefined) return wait(`the ballot of ${peer} is not here yet`)
    if (match.timeMs > cutoffMs) return refuse(`it counts the ballot of ${peer}, which was late`)
    if (match.defect !== undefined) return refuse(`it counts the ballot of ${peer}: ${match.defect}`)
    if (match.readyMs === undefined) return wait(`the commit of ${peer} is not here yet`)
  }
  // Whoever closes before the cut-off must have waited for all: nobody can be shut out by haste.
  if (counted.length < electorate.length && now < cutoffMs) return wait('the cut-off is not reached')
  for (const ballot of records.ballots) {
    if (ballot.peer in closing.ballots || !electorate.includes(ballot.peer)) continue
    if (inTime(ballot, opening.value) && !isEquivocal(records.ballots, ballot.peer)) {
      return refuse(`it leaves out the ballot of ${ballot.peer}, which came in time`)
    }
  }
  return { verdict: 'sign' }
}

/** True for a ballot that was here, commit and all, clearly before the cut-off. */
function inTime({ timeMs, readyMs }: SeenBallot, { cutoffMs }: Opening): boolean {
  return timeMs <= cutoffMs && readyMs !== undefined && readyMs <= cutoffMs - cutoffMarginMs
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

/** The closing that this node is to sign, or what there is instead. */
function chooseClosing(
  plan: Plan,
  { records }: Situation,
  opening: Claim<Opening>,
  self: string,
): Claim<Closing> | 'none' | 'wait' {
  for (const claim of records.closings) {
    if (claim.value.opening !== opening.hash) continue
    const judgement = judgeClosing(claim.value, opening, records, plan.now)
    if (judgement.verdict === 'sign') return claim
    if (judgement.verdict === 'refuse') {
      plan.act({ do: 'refuse', record: claim.hash, reason: judgement.reason })
      continue
    }
    // What a closing counts may still be on its way; a closer that invented it holds the round up so long and no longer.
    if (plan.isBefore(Math.max(claim.seenMs, opening.value.cutoffMs) + closingPatienceMs)) return 'wait'
  }
  // After its vote a node has said all that it has to say in this round.
  return records.votes.some(({ peer }) => peer === self) ? 'wait' : 'none'
}

function close(plan: Plan, { records }: Situation, opening: Claim<Opening>, self: string): void {
  const { electorate, quorum, cutoffMs, votesUntilMs, openedBy } = opening.value
  if (records.closings.some(({ author, value }) => author === self && value.opening === opening.hash)) return
  const ballots = eligibleBallots(records, opening.value)
  if (!isEnough([...ballots.keys()], quorum) || plan.now >= votesUntilMs) return
  const ready = [...ballots.values()].map(({ readyMs }) => readyMs ?? plan.now).sort((a, b) => a - b)
  const complete = ballots.size === electorate.length
  const enoughMs = ready[quorum.ballots - 1] ?? ready.at(-1) ?? plan.now
  const dueMs = complete ? (ready.at(-1) ?? plan.now) : Math.max(cutoffMs, enoughMs)
  const others = electorate.filter((peer) => peer !== openedBy)
  const line = [openedBy, ...lineUp(formatRoundId(records.id), 'closing', others)]
  if (plan.isTurn(line, self, dueMs)) plan.act({ do: 'close', opening, ballots })
}

function vote(
  plan: Plan,
  { records, truth, rivals, signedMs, outcomes }: Situation,
  opening: Claim<Opening>,
  closing: Claim<Closing>,
  self: string,
): void {
  const { parent, height, openedMs, votesUntilMs } = opening.value
  // [V1] Once in a round, whatever else turns up.
  if (records.votes.some(({ peer }) => peer === self) || plan.now >= votesUntilMs) return
  // [V2] Only on the truth that this node holds; a node that is behind hears of the newer one before it signs.
  if (truth.height + 1 !== height || truth.commit !== parent) return
  if (openedMs <= Math.max(truth.openedMs, signedMs)) return
  // [V3] Not beside a vote in another round that may still be decided, nor before a round that has precedence.
  const competing = rivals.filter(
    (rival) => rival.height >= height && rival.state !== 'undecided' && plan.now < rival.votesUntilMs,
  )
  if (competing.some((r) => r.voted || r.state === 'decided')) return
  const first = competing.filter((r) => r.state === 'closed' && !r.refused && r.height === height)
  if (first.some((r) => compareRounds(r.id, records.id) < 0)) return
  const outcome = outcomes.get(closing.hash)
  if (outcome === undefined) plan.act({ do: 'count', opening, closing })
  else plan.act({ do: 'vote', closing: closing.hash, commit: outcome.commit })
}

function certify(plan: Plan, { records, certified }: Situation, status: RoundStatus, self: string): void {
  const { opening, closing, commit } = status
  if (closing === undefined || commit === undefined) return
  const { openedMs, height } = opening.value
  const rank = { openedMs, height, round: records.id, commit }
  if (certified !== undefined && compareRanks(certified, rank) >= 0) return
  const votes = votesInTime(records.votes, opening.value).filter((v) => v.commit === commit)
  const seen = votes.map(({ seenMs }) => seenMs).sort((a, b) => a - b)
  const dueMs = seen[opening.value.quorum.votes - 1]
  const line = lineUp(formatRoundId(records.id), 'certificate', opening.value.electorate)
  if (dueMs !== undefined && plan.isTurn(line, self, dueMs)) plan.act({ do: 'certify', status })
}

/** Collects what is to be done now and when to look again. */
class Plan {
  readonly now: number
  readonly #actions: Action[] = []
  #wakeMs: number | undefined

  constructor(now: number) {
    this.now = now
  }

  act(action: Action): void {
    this.#actions.push(action)
  }

  /** Remembers to look again at `timeMs`, if that is still to come. */
  wakeAt(timeMs: number): void {
    if (timeMs > this.now && (this.#wakeMs === undefined || timeMs < this.#wakeMs)) this.#wakeMs = timeMs
  }

  isBefore(timeMs: number): boolean {
    this.wakeAt(timeMs)
    return this.now < timeMs
  }

  isTurn(line: readonly string[], self: string, dueMs: number): boolean {
    const turn = turnMs(line, self, dueMs)
    return turn !== undefined && !this.isBefore(turn)
  }

  decision(): Decision {
    return { actions: this.#actions, wakeMs: this.#wakeMs }
  }
}

function wait(reason: string): ClosingJudgement {
  return { verdict: 'wait', reason }
}

function refuse(reason: string): ClosingJudgement {
  return { verdict: 'refuse', reason }
}
