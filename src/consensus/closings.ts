/** Which closing of a round a node may sign, and when it writes one itself (protocols/voting.md, [K1] to [K5]). */
import { cutoffMarginMs } from '../base/limits.ts'
import type { Plan, Situation } from './plan.ts'
import type { Claim, Closing, Opening } from './records.ts'
import { lineUp } from './rendezvous.ts'
import {
  closingPatienceMs,
  countable,
  eligibleBallots,
  isCounting,
  isEquivocal,
  type RoundRecords,
  type SeenBallot,
} from './round.ts'
import { formatRoundId } from './round-id.ts'

/** Closings that count what is not here are waited for so long beyond the cut-off, all of them together. */
const closingsPatienceMs = 3 * closingPatienceMs

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
  // [K1] Where proven members' results stand alone, those of others are no part of it.
  const isLean = counted.length < opening.value.quorum.ballots
  const due = isLean ? (opening.value.quorum.proven ?? []) : electorate
  for (const ballot of records.ballots) {
    if (Object.hasOwn(closing.ballots, ballot.peer) || !due.includes(ballot.peer)) continue
    if (inTime(ballot, opening.value) && !isEquivocal(records, ballot.peer)) {
      return refuse(`it leaves out the ballot of ${ballot.peer}, which came in time`)
    }
  }
  return { verdict: 'sign' }
}

/** Whether this node would sign a closing of the opening, once the cut-off has come. */
export function isSignable(records: RoundRecords, opening: Claim<Opening>): boolean {
  const { cutoffMs } = opening.value
  const own = records.closings.filter(({ value }) => value.opening === opening.hash)
  return own.some(({ value }) => judgeClosing(value, opening, records, cutoffMs).verdict === 'sign')
}

/** True for a ballot that was here, commit and all, clearly before the cut-off. */
function inTime({ timeMs, readyMs }: SeenBallot, { cutoffMs }: Opening): boolean {
  return timeMs <= cutoffMs && readyMs !== undefined && readyMs <= cutoffMs - cutoffMarginMs
}

/** The closing that this node is to sign, or what there is instead. */
export function chooseClosing(
  plan: Plan,
  { records }: Situation,
  opening: Claim<Opening>,
  self: string,
): Claim<Closing> | 'none' | 'wait' {
  const { cutoffMs } = opening.value
  let waits = false
  for (const claim of records.closings) {
    if (claim.value.opening !== opening.hash) continue
    const judgement = judgeClosing(claim.value, opening, records, plan.now)
    if (judgement.verdict === 'sign') return claim
    if (judgement.verdict === 'refuse') {
      plan.act({ do: 'refuse', record: claim.hash, reason: judgement.reason })
      continue
    }
    // What a closing counts may still be on its way; a closer that invented it holds the round up so long and no longer,
    // however often it writes another one, and nobody from signing another's.
    const untilMs = Math.min(
      Math.max(claim.seenMs, cutoffMs) + closingPatienceMs,
      cutoffMs + closingsPatienceMs,
    )
    if (plan.isBefore(untilMs)) waits = true
  }
  if (waits) return 'wait'
  // After its vote a node has said all that it has to say in this round.
  return records.votes.some(({ peer }) => peer === self) ? 'wait' : 'none'
}

export function close(plan: Plan, { records }: Situation, opening: Claim<Opening>, self: string): void {
  const { electorate, quorum, cutoffMs, votesUntilMs, openedBy } = opening.value
  if (records.closings.some(({ author, value }) => author === self && value.opening === opening.hash)) return
  const eligible = eligibleBallots(records, opening.value)
  const counted = countable([...eligible.keys()], quorum)
  if (counted === undefined || plan.now >= votesUntilMs) return
  const ballots = new Map([...eligible].filter(([peer]) => counted.includes(peer)))
  const ready = [...ballots.values()].map(({ readyMs }) => readyMs ?? plan.now).sort((a, b) => a - b)
  const complete = ballots.size === electorate.length
  const enoughMs = ready[quorum.ballots - 1] ?? ready.at(-1) ?? plan.now
  const dueMs = complete ? (ready.at(-1) ?? plan.now) : Math.max(cutoffMs, enoughMs)
  const others = electorate.filter((peer) => peer !== openedBy)
  const line = [openedBy, ...lineUp(formatRoundId(records.id), 'closing', others)]
  if (plan.isTurn(line, self, dueMs)) plan.act({ do: 'close', opening, ballots })
}

function wait(reason: string): ClosingJudgement {
  return { verdict: 'wait', reason }
}

function refuse(reason: string): ClosingJudgement {
  return { verdict: 'refuse', reason }
}
