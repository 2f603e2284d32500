/**
 * A round as a pure projection of its records and the time. Nothing about a round is stored but what members signed, so
 * a node that was away sees the same state as one that was there.
 */
import { quietRoundHoldMs, requestHoldMs, roundLifeMaxMs, takeOverMs } from '../base/limits.ts'
import { refuseOpening } from './opening.ts'
import { isDecisive, isQuorum, quorumOf, type Voter } from './quorum.ts'
import type { Ballot, Claim, Closing, Opening, Signed } from './records.ts'
import { formatRoundId, type RoundId } from './round-id.ts'
import { PLAIN_TERMS, type TermsOf } from './terms.ts'
import {
  countingVotes,
  lastVotes,
  type Quorum,
  quorumFor,
  type SeenConfirmation,
  type SeenVote,
} from './votes.ts'

/** A ballot that reached this node; a member that cast two different ones is seen twice. */
export interface SeenBallot extends Ballot {
  readonly peer: string
  /** When its author says it was cast. */
  readonly timeMs: number
  readonly seenMs: number
  /** As its author sealed it. */
  readonly sealed?: Uint8Array | undefined
  /** Since when its commit is here and found to hold the tree that it names. */
  readonly readyMs?: number | undefined
  /** Why it cannot count, when its commit is here and does not hold what it says. */
  readonly defect?: string | undefined
  /** The method by which it was looked into; by another one it may be in order, or not. */
  readonly examinedBy?: string | undefined
}

/** All that this node knows of one round. Claims stand in the order in which the registry arranges them. */
export interface RoundRecords {
  readonly id: RoundId
  readonly openings: readonly Claim<Opening>[]
  readonly closings: readonly Claim<Closing>[]
  readonly ballots: readonly SeenBallot[]
  readonly votes: readonly SeenVote[]
  readonly confirmations: readonly SeenConfirmation[]
  /** Who was found to have cast two ballots, also before a restart. */
  readonly equivocators?: ReadonlySet<string>
}

/** A result that a quorum voted for in one view: what is to be confirmed. */
export interface Prepared extends Quorum {
  readonly opening: Claim<Opening>
  readonly closing: Claim<Closing>
}

/** What is known beside the records. */
export interface RoundFacts {
  /** The certified truth of the dataset. */
  readonly truth?:
    | {
        readonly round: string
        readonly height: number
        readonly commit: string
        readonly openedMs: number
      }
    | undefined
  /** Those who are members now. */
  readonly members: readonly Voter[]
  /** What the dataset asks of its rounds; without it, `identical` and every member's result. */
  readonly terms?: TermsOf | undefined
}

export type RoundState = 'open' | 'closed' | 'decided' | 'undecided'

export type UndecidedReason =
  | 'too-few-ballots'
  | 'not-closed'
  | 'no-majority'
  | 'split'
  | 'too-few-votes'
  | 'members-left'
  | 'superseded'

export interface RoundStatus {
  readonly state: RoundState
  readonly reason?: UndecidedReason
  /** Why this node takes no part: no opening of the round is in order, and `opening` is only the first of them. */
  readonly refusal?: string
  /** The opening that counts: the one that was decided on, else the first claim that is in order. */
  readonly opening: Claim<Opening>
  readonly closing?: Claim<Closing>
  /** The result, once decided. */
  readonly commit?: string
  /** The latest view in which a quorum voted for one result, where there is one. */
  readonly prepared?: Prepared
  /** What a quorum confirmed, where this node has their confirmations. */
  readonly decision?: Prepared
  /** Peer ids whose confirmations made the decision, sorted. */
  readonly signers: readonly string[]
}

/** Members may still hand in a closing that is on its way for so long after the cut-off. */
export const closingPatienceMs = 3 * takeOverMs

/** Undefined while nobody has opened the round. */
export function projectRound(records: RoundRecords, facts: RoundFacts, now: number): RoundStatus | undefined {
  const decision = decisionOf(records, facts.members) ?? pastDecision(records, facts)
  if (decision !== undefined) {
    const { opening, closing, commit, signers } = decision
    return { state: 'decided', opening, closing, commit, signers, decision }
  }
  const shown = shownOpening(records, facts, now)
  if (shown === undefined) return undefined
  const prepared = preparedOf(records, facts.members)
  // What a quorum took part in is in order, whatever this node finds about it by now.
  const opening = prepared?.opening ?? shown.opening
  const closing = prepared?.closing ?? records.closings.find((claim) => isCounting(claim.value, opening))
  const known = { opening, ...(closing && { closing }), ...(prepared && { prepared }), signers: [] }
  // The confirmations may be on their way still; the certificate that the registry has taken says the same.
  if (facts.truth?.round === formatRoundId(records.id)) {
    return { state: 'decided', ...known, commit: facts.truth.commit }
  }
  const reason = undecided(records, facts, known, now)
  const refusal = opening === shown.opening ? shown.refusal : undefined
  const rest = { ...known, ...(refusal !== undefined && { refusal }) }
  if (reason !== undefined) return { state: 'undecided', reason, ...rest }
  return { state: closing === undefined ? 'open' : 'closed', ...rest }
}

/**
 * Until when a round keeps this node from opening another one of its dataset, ms; 0 when it does not. Only one that it
 * would take part in does: [O3] a false opening changes nothing, whatever times it names.
 */
export function heldUntilMs(records: RoundRecords, status: RoundStatus, facts: RoundFacts): number {
  const { opening, refusal, state } = status
  if (refusal !== undefined || (state !== 'open' && state !== 'closed')) return 0
  const { height, openedMs, cutoffMs, votesUntilMs } = opening.value
  // [V2] Nobody who holds this truth will sign a result of another height.
  if (height !== (facts.truth?.height ?? 0) + 1) return 0
  // [L6] Nothing else of this height can be decided before it; nor is it waited for without end.
  if (status.prepared !== undefined) return Math.max(votesUntilMs, openedMs + roundLifeMaxMs)
  // [O5] The opener's own word that a round is worth waiting for is good for a moment only.
  const seenMs = Math.min(openedMs, opening.seenMs)
  if (isQuiet(records, opening.value)) return seenMs + Math.min(quietRoundHoldMs, cutoffMs - openedMs)
  // Anybody may ask for a round, with a long window, too; what schedules and people's choices need is bound by the rule.
  return opening.value.trigger === 'request' ? Math.min(votesUntilMs, seenMs + requestHoldMs) : votesUntilMs
}

/** True while nobody but its opener has cast a ballot in the round. */
export function isQuiet({ ballots }: RoundRecords, { openedBy, electorate }: Opening): boolean {
  return !ballots.some(({ peer }) => peer !== openedBy && electorate.includes(peer))
}

/** The first claim that an honest node takes part in: whoever claims the name with something else changes nothing. */
function shownOpening(
  records: RoundRecords,
  { members, terms }: RoundFacts,
  now: number,
): { opening: Claim<Opening>; refusal?: string } | undefined {
  let refused: { opening: Claim<Opening>; refusal: string } | undefined
  let spent: Claim<Opening> | undefined
  for (const opening of records.openings) {
    const refusal = refuseOpening(opening, records.id, members, terms ?? PLAIN_TERMS, now)
    if (refusal === undefined && !isSpent(opening, records, now)) return { opening }
    if (refusal === undefined) spent ??= opening
    else refused ??= { opening, refusal }
  }
  return spent === undefined ? refused : { opening: spent }
}

/**
 * [O3] True for an opening whose ballots' time went by with too few of them: it keeps nobody from opening the round in
 * earnest, or one record, dated back, would be the end of a slot.
 */
export function isSpent(opening: Claim<Opening>, records: RoundRecords, now: number): boolean {
  const { cutoffMs } = opening.value
  if (now < cutoffMs + closingPatienceMs) return false
  if (records.closings.some(({ value }) => isCounting(value, opening))) return false
  return countable(castIn(records, opening.value), opening.value.quorum) === undefined
}

/** Who of the electorate cast a ballot by the cut-off that may be counted, for all that is known. */
function castIn({ ballots }: RoundRecords, { electorate, cutoffMs }: Opening): string[] {
  const cast = ballots.filter(({ peer, timeMs, defect }) => {
    return electorate.includes(peer) && timeMs <= cutoffMs && defect === undefined
  })
  return [...new Set(cast.map(({ peer }) => peer))]
}

/** The result that a quorum confirmed in one view, if there is one. */
export function decisionOf(records: RoundRecords, members: readonly Voter[]): Prepared | undefined {
  return latestQuorum(records, members, () => records.confirmations)
}

/**
 * What was decided about a height that the truth has left behind: those who confirmed it then may vote no more, and what
 * stands on it says that it was decided all the same.
 */
function pastDecision(records: RoundRecords, { truth }: RoundFacts): Prepared | undefined {
  const past = records.openings.filter(({ value }) => value.height <= (truth?.height ?? 0))
  const electorates = past.map(({ value }) => value.electorate.map((peer) => ({ peer, since: 0 })))
  return electorates.map((electorate) => decisionOf({ ...records, openings: past }, electorate)).find(Boolean)
}

/** The result that a quorum voted for in one view; of several views the latest. */
export function preparedOf(records: RoundRecords, members: readonly Voter[]): Prepared | undefined {
  return latestQuorum(records, members, ({ value }) => countingVotes(records.votes, value))
}

/** [V7] True when the round can never be certified: too many of its electorate vote no more. */
export function isVoid(opening: Opening, members: readonly Voter[]): boolean {
  return !isDecisive(opening.electorate, opening, members)
}

function latestQuorum(
  { openings, closings }: RoundRecords,
  members: readonly Voter[],
  signedOf: (opening: Claim<Opening>) => readonly (SeenVote | SeenConfirmation)[],
): Prepared | undefined {
  let latest: Prepared | undefined
  for (const closing of closings) {
    const opening = openings.find(({ hash }) => hash === closing.value.opening)
    if (opening === undefined || !isCounting(closing.value, opening)) continue
    const found = quorumFor(signedOf(opening), opening, closing, members)
    if (found !== undefined && found.view > (latest?.view ?? -1)) latest = { ...found, opening, closing }
  }
  return latest
}

/** The ballots that a closing may count: cast in time by the electorate, their commits here, one from each member. */
export function eligibleBallots(records: RoundRecords, opening: Opening): Map<string, SeenBallot> {
  const eligible = new Map<string, SeenBallot>()
  for (const ballot of records.ballots) {
    const { peer, timeMs, readyMs } = ballot
    if (!opening.electorate.includes(peer) || timeMs > opening.cutoffMs || readyMs === undefined) continue
    if (isEquivocal(records, peer)) continue
    eligible.set(peer, ballot)
  }
  return eligible
}

/** True when the member was seen casting two different ballots in one round. */
export function isEquivocal(
  { ballots, equivocators }: Pick<RoundRecords, 'ballots' | 'equivocators'>,
  peer: string,
): boolean {
  return equivocators?.has(peer) === true || ballots.filter((ballot) => ballot.peer === peer).length > 1
}

/** True for a closing of that opening with as many ballots as it asks for ([K1]), and of nobody else. */
export function isCounting(closing: Closing, opening: Signed<Opening>): boolean {
  const { electorate, quorum } = opening.value
  const counted = Object.keys(closing.ballots)
  return (
    closing.opening === opening.hash &&
    counted.every((peer) => electorate.includes(peer)) &&
    isEnough(counted, quorum)
  )
}

/** [K1] Ballots of so many members as the opening asks for, or of proven ones alone, whose results need no repetition. */
export function isEnough(peers: readonly string[], quorum: Opening['quorum']): boolean {
  return peers.length > 0 && countable(peers, quorum)?.length === peers.length
}

/**
 * Which of those who cast a ballot a closing counts; undefined when these are too few for one. Where a proven member's
 * result stands alone, others who cast without being asked to work do not outvote it.
 */
export function countable(
  peers: readonly string[],
  { ballots, proven }: Opening['quorum'],
): readonly string[] | undefined {
  if (peers.length >= ballots) return peers
  const trusted = peers.filter((peer) => proven?.includes(peer))
  return trusted.length === 0 ? undefined : trusted
}

/** The reason for people, with its numbers. */
export function explain(reason: UndecidedReason, records: RoundRecords, opening: Opening): string {
  const all = opening.electorate.length
  const cast = new Set(records.ballots.map(({ peer }) => peer)).size
  const spoilt = new Set(records.ballots.filter((one) => one.defect !== undefined).map(({ peer }) => peer))
    .size
  const voted = lastVotes(records.votes, opening).length
  switch (reason) {
    case 'too-few-ballots':
      return [
        `${cast} of ${all} members handed in a ballot by the cut-off`,
        ...(spoilt > 0 ? [`, of which ${spoilt} cannot be counted`] : []),
        `; ${opening.quorum.ballots} are needed`,
        ...(opening.quorum.proven ? [', or that of a proven one who was in line'] : []),
      ].join('')
    case 'not-closed':
      return `${cast} ballots came, but their commits could not be gathered and counted in time`
    case 'no-majority':
      return 'no consensus: the ballots agree on nothing that the truth does not have already, and it stays as it was'
    case 'split':
      return `${voted} of ${all} members voted, but not for one result`
    case 'too-few-votes':
      return `${voted} of ${all} members signed the result in time; ${quorumOf(all)} are needed`
    case 'members-left':
      return 'its result had enough votes, but so many who voted are members no more that nobody can confirm it'
    case 'superseded':
      return 'another round of this dataset was decided first; open a new one on its truth'
  }
}

/** What a round waits for that has a quorum of votes, for people. */
export function explainPrepared({ opening, closing, commit, view }: Prepared, records: RoundRecords): string {
  const { electorate } = opening.value
  const said = records.confirmations.filter(
    (one) => one.closing === closing.hash && one.commit === commit && one.view === view,
  )
  const confirmed = new Set(said.map(({ peer }) => peer)).size
  return `enough members voted for one result; ${confirmed} of ${electorate.length} have confirmed it, ${quorumOf(electorate.length)} are needed, and until then it is voted on again every minute`
}

function undecided(
  records: RoundRecords,
  facts: RoundFacts,
  { opening, closing, prepared }: Pick<RoundStatus, 'opening' | 'closing' | 'prepared'>,
  now: number,
): UndecidedReason | undefined {
  const { electorate, votesUntilMs, height } = opening.value
  const votes = lastVotes(records.votes, opening.value)
  const superseded = facts.truth !== undefined && facts.truth.height >= height
  if (prepared !== undefined) {
    if (superseded) return 'superseded'
    return isVoid(opening.value, facts.members) ? 'members-left' : undefined
  }
  const ties = votes.filter((vote) => vote.commit === null && vote.closing === closing?.hash)
  if (isQuorum(ties.length, electorate.length)) return 'no-majority'
  if (closing === undefined && isSpent(opening, records, now)) return 'too-few-ballots'
  if (superseded && (now < votesUntilMs || votes.length === 0)) return 'superseded'
  if (now < votesUntilMs) return undefined
  if (closing === undefined) return 'not-closed'
  const results = new Set(votes.map((vote) => `${vote.closing} ${vote.commit}`))
  return results.size > 1 ? 'split' : 'too-few-votes'
}
