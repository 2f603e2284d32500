/**
 * What a node signs in a round (protocols/voting.md §4): its vote, its confirmation of what a quorum voted for,
 * another vote where the confirmations do not come together, and the certificate in the end.
 */
import { renewalPatienceMs } from '../base/limits.ts'
import { compareRanks } from './certificate.ts'
import { isBrought } from './endings.ts'
import { mayConfirm, renewal } from './locking.ts'
import type { Plan, Situation } from './plan.ts'
import type { Claim, Closing, Opening } from './records.ts'
import { lineUp } from './rendezvous.ts'
import type { Prepared, RoundStatus } from './round.ts'
import { compareRounds, formatRoundId } from './round-id.ts'

/** The vote of what this node counts itself. */
export function vote(
  plan: Plan,
  { records, truth, rivals, standing, outcomes }: Situation,
  opening: Claim<Opening>,
  closing: Claim<Closing>,
  self: string,
): void {
  const { height, openedMs, votesUntilMs } = opening.value
  // [V1] Once in a round, whatever else turns up.
  if (records.votes.some(({ peer }) => peer === self) || plan.now >= votesUntilMs) return
  if (!isOnTruth(opening.value, truth)) return
  if (openedMs <= Math.max(truth.openedMs, standing.votedMs, standing.confirmedMs)) return
  // What is dated ahead would keep this node from everything else until then.
  if (plan.isBefore(openedMs)) return
  // [V6] What may still be certified, or has to be voted on again, leaves no room for another result.
  if (standing.lock !== undefined || standing.prepared.length > 0) return
  // [V3] Not beside a vote in another round that may still be decided, nor before a round that has precedence.
  const competing = rivals.filter(
    (rival) => rival.height >= height && rival.state !== 'undecided' && plan.now < rival.votesUntilMs,
  )
  if (competing.some((r) => (r.voted && plan.isBefore(r.votedUntilMs)) || r.state === 'decided')) return
  const first = competing.filter((r) => r.signable && !r.refused && r.height === height)
  if (first.some((r) => compareRounds(r.id, records.id) < 0)) return
  const outcome = outcomes.get(closing.hash)
  if (outcome === undefined) plan.act({ do: 'count', opening, closing })
  else plan.act({ do: 'vote', closing: closing.hash, commit: outcome.commit, view: openedMs })
}

/** [L2] Confirms what a quorum voted for. @returns false when there is nothing to confirm. */
export function confirm(
  plan: Plan,
  { records, truth, standing }: Situation,
  prepared: Prepared,
  self: string,
): boolean {
  const { value } = prepared.opening
  if (!value.electorate.includes(self) || !isOnTruth(value, truth)) return false
  const [latest] = standing.prepared
  const isLatest = latest?.view === prepared.view && latest.closing.hash === prepared.closing.hash
  if (!isLatest || !mayConfirm({ ...prepared, round: records.id }, standing, plan.now)) return false
  plan.act({ do: 'confirm', prepared })
  return true
}

/** [L5] Shows the votes to the others, where the confirmations do not come together. */
export function show(plan: Plan, { shownMs, standing }: Situation, prepared: Prepared): void {
  if (shownMs >= prepared.view) return
  const isRenewed = prepared.view > prepared.opening.value.openedMs
  // Who comes first in the next window has to know by then what this node is locked on.
  const isLocked = isRenewed && standing.confirmedMs === prepared.view
  if (isLocked || !plan.isBefore(prepared.seenMs + renewalPatienceMs)) plan.act({ do: 'show', prepared })
}

/** [L4] Votes again for what has a quorum of votes, and is not certified. */
export function renew(plan: Plan, situation: Situation, prepared: Prepared, self: string): void {
  const { records, members, truth, standing, outcomes } = situation
  const { opening, closing, commit } = prepared
  if (!opening.value.electorate.includes(self) || !isOnTruth(opening.value, truth)) return
  const peers = members.map(({ peer }) => peer)
  const next = renewal(standing, self, peers, plan.now)
  if (next?.do === 'wait') plan.wakeAt(next.untilMs)
  if (next?.do !== 'vote' || formatRoundId(next.result.round) !== formatRoundId(records.id)) return
  // [V4] Also what others voted for is signed by those alone who counted it.
  const outcome = outcomes.get(closing.hash)
  if (outcome === undefined) plan.act({ do: 'count', opening, closing })
  else if (outcome.commit === commit) plan.act({ do: 'vote', closing: closing.hash, commit, view: next.view })
  else plan.act({ do: 'refuse', record: closing.hash, reason: 'its ballots come to another result here' })
}

export function certify(plan: Plan, situation: Situation, status: RoundStatus, self: string): void {
  const { records, certified } = situation
  const { opening, commit, decision } = status
  if (commit === undefined) return
  const { openedMs, height, electorate } = opening.value
  const order =
    certified === undefined ? -1 : compareRanks(certified, { openedMs, height, round: records.id, commit })
  if (order === 0) bring(plan, situation, electorate, self)
  if (order >= 0 || decision === undefined) return
  const line = lineUp(formatRoundId(records.id), 'certificate', electorate)
  if (plan.isTurn(line, self, decision.seenMs)) plan.act({ do: 'certify', decision })
}

/** [C11] What one member brought it may replace, for those who have not heard of it: so others bring it as well. */
function bring(plan: Plan, { records, held }: Situation, electorate: readonly string[], self: string): void {
  if (held === undefined || isBrought(held, electorate, self)) return
  const line = lineUp(formatRoundId(records.id), 'certificate', electorate)
  if (plan.isTurn(line, self, Math.min(held.sinceMs, plan.now))) plan.act({ do: 'bring' })
}

/** [V2] On the truth that this node holds; one that is behind hears of the newer one before it signs. */
function isOnTruth({ parent, height }: Opening, truth: Situation['truth']): boolean {
  return truth.height + 1 === height && truth.commit === parent
}
