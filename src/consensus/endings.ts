/** What becomes of a round, for those who follow it: when nothing can change it any more, and what is told of it. Pure. */
import { clockSkewMaxMs, roundLifeMaxMs } from '../base/limits.ts'
import { compareRanks, type Rank } from './certificate.ts'
import type { HeldTruth } from './plan.ts'
import type { RoundStatus } from './round.ts'
import type { RoundId } from './round-id.ts'

/** What is told of a round that has come so far; `certified` is the truth that is held. */
export function eventOf(status: RoundStatus, certified: Rank | undefined) {
  const { state, reason, commit = '' } = status
  if (state === 'undecided') return { type: 'undecided', reason: reason ?? '' } as const
  if (state === 'decided')
    return { type: hasLost(status, certified) ? 'conflict' : 'decided', commit } as const
  return { type: state === 'open' ? 'opened' : 'closed' } as const
}

/** As long as this is the same there is no news. A decided round that lost to another one of its height is told anew. */
export function stateOf(status: RoundStatus, certified: Rank | undefined): string {
  return `${status.state} ${status.reason ?? ''} ${status.commit ?? ''} ${hasLost(status, certified)}`
}

/** Whether nothing can change the round any more but other members, or another truth. */
export function isOver(
  id: RoundId,
  status: RoundStatus,
  { certified, held, self }: { certified: Rank | undefined; held: HeldTruth | undefined; self: string },
  now: number,
): boolean {
  const { state, reason, refusal, opening, commit } = status
  const { openedMs, votesUntilMs, height } = opening.value
  // What is refused now may be in order once more members are known, or our clock has caught up.
  if (refusal !== undefined)
    return now >= votesUntilMs || votesUntilMs > now + roundLifeMaxMs + clockSkewMaxMs
  if (state === 'decided') {
    const rank = { openedMs, height, round: id, commit: commit ?? '' }
    const order = certified === undefined ? -1 : compareRanks(certified, rank)
    return (
      order > 0 || (order === 0 && (held === undefined || isBrought(held, opening.value.electorate, self)))
    )
  }
  if (state !== 'undecided') return false
  return reason === 'superseded' || now >= votesUntilMs
}

/** [C11] Whether one honest member at least brings the truth, or this one has nothing to do with it. */
export function isBrought({ bringers }: HeldTruth, electorate: readonly string[], self: string): boolean {
  if (!electorate.includes(self) || bringers.includes(self)) return true
  return 3 * bringers.filter((peer) => electorate.includes(peer)).length > electorate.length
}

function hasLost({ state, opening, commit }: RoundStatus, certified: Rank | undefined): boolean {
  if (state !== 'decided' || certified === undefined) return false
  return certified.height === opening.value.height && certified.commit !== commit
}
