import { NodeError } from '../base/errors.ts'
import {
  clockSkewMaxMs,
  electorateMax,
  openingAheadMaxMs,
  roundLifeMaxMs,
  roundWindowMaxMs,
  roundWindowMinMs,
  voteWindowMinMs,
} from '../base/limits.ts'
import { isEntitled, type Voter } from './quorum.ts'
import type { Claim, Opening } from './records.ts'
import type { RoundId } from './round-id.ts'
import { departure, type Terms, type TermsOf } from './terms.ts'

/** The truth that a round builds on. */
export interface Truth {
  /** Null where there is none. */
  readonly commit: string | null
  /** How many certificates led to it. */
  readonly height: number
  /** When its round was opened; 0 for what a dataset was founded with. */
  readonly openedMs: number
  /** In which view it was confirmed; `openedMs` where nobody had to. */
  readonly view: number
}

export interface OpeningParts {
  readonly self: string
  readonly members: readonly Voter[]
  readonly truth: Truth
  /** When the latest round of the dataset that is known was opened, ms; 0 when there is none. */
  readonly latestMs: number
  readonly trigger: Exclude<Opening['trigger'], 'hand'>
  readonly id: RoundId
  readonly terms: TermsOf
  readonly windowMs: number
  readonly now: number
}

/**
 * The opening of a round by `self`, with all present members as its electorate.
 *
 * @throws NodeError INVALID_INPUT for a window out of bounds, TOO_LARGE for more members than can vote together,
 * COMMIT_NOT_FOUND when what the terms follow from is not here yet.
 */
export function openingOf(parts: OpeningParts): Opening {
  const { self, id, members, truth, latestMs, trigger, windowMs, now } = parts
  if (!Number.isInteger(windowMs) || windowMs < roundWindowMinMs || windowMs > roundWindowMaxMs) {
    const message = `A round stays open for ${roundWindowMinMs} to ${roundWindowMaxMs} ms, not ${windowMs}`
    throw new NodeError('INVALID_INPUT', message, { windowMs })
  }
  // The members that opened the rounds before may have clocks that are ahead of ours.
  const openedMs = Math.max(now, truth.openedMs + 1, truth.view + 1, latestMs + 1)
  const voters = members.filter((one) => isEntitled(one, openedMs))
  if (voters.length > electorateMax) {
    const message = `${voters.length} members cannot vote together, ${electorateMax} can`
    throw new NodeError('TOO_LARGE', message, { members: voters.length })
  }
  const electorate = voters.map(({ peer }) => peer).sort()
  const { method, byHand, quorum, weights } = knownTerms(
    parts.terms(id, { electorate, parent: truth.commit, trigger }),
  )
  const cutoffMs = openedMs + windowMs
  return {
    electorate,
    method,
    trigger: byHand ? 'hand' : trigger,
    quorum,
    ...(weights && { weights }),
    parent: truth.commit,
    height: truth.height + 1,
    openedMs,
    cutoffMs,
    votesUntilMs: cutoffMs + Math.max(windowMs, voteWindowMinMs),
    openedBy: self,
  }
}

/**
 * Why this node takes no part in a round opened like this (protocols/voting.md §4); undefined when it does. Of an
 * unbounded round the others would have to wait for the end, and an electorate that leaves members out is not ours.
 */
export function refuseOpening(
  { value, author }: Claim<Opening>,
  id: RoundId,
  members: readonly Voter[],
  terms: TermsOf,
  now: number,
): string | undefined {
  const { electorate, openedMs, cutoffMs, votesUntilMs, openedBy } = value
  if (openedBy !== author) return 'it was opened in the name of another member'
  if (id.slot > now + clockSkewMaxMs || openedMs > now + openingAheadMaxMs) return 'it is from the future'
  const tooLong = cutoffMs - openedMs > roundWindowMaxMs || votesUntilMs - openedMs > roundLifeMaxMs
  // The votes' window is as long as the ballots', or the least: a longer one would only hold others up.
  const votesMs = votesUntilMs - cutoffMs
  const unfit = votesMs < voteWindowMinMs || votesMs > Math.max(cutoffMs - openedMs, voteWindowMinMs)
  if (cutoffMs < openedMs || unfit || tooLong) {
    return 'its cut-off or the end of its votes is out of bounds'
  }
  const entitled = members.filter((one) => isEntitled(one, openedMs))
  const known = new Set(entitled.map(({ peer }) => peer))
  const stranger = electorate.find((peer) => !known.has(peer))
  if (stranger !== undefined) return `${stranger} is in the electorate and no member`
  const left = entitled.find(({ peer, since }) => since <= openedMs && !electorate.includes(peer))
  if (left !== undefined) return `member ${left.peer} is left out of the electorate`
  // Nobody votes in it any more: what the dataset asks of its rounds by now is about others.
  if (now >= votesUntilMs) return undefined
  const due = terms(id, value)
  return typeof due === 'string' ? due : departure(value, due)
}

function knownTerms(terms: Terms | string): Terms {
  if (typeof terms !== 'string') return terms
  throw new NodeError('COMMIT_NOT_FOUND', `The terms of a round cannot be known here: ${terms}`)
}
