/** What people and programs are shown of rounds and truths; plain JSON throughout. */

import type { Policy } from '../datasets/policies.ts'
import type { Method } from '../datasets/truth-rule.ts'
import type { Contradiction, Equivocation } from './equivocation.ts'
import type { Certificate, Opening } from './records.ts'
import {
  explain,
  explainPrepared,
  projectRound,
  type RoundFacts,
  type RoundRecords,
  type RoundState,
  type RoundStatus,
  type UndecidedReason,
} from './round.ts'
import { formatRoundId } from './round-id.ts'
import type { Differences } from './tally.ts'
import { isFirst } from './votes.ts'

export interface NamedPeer {
  readonly peer: string
  /** The member's name; its peer id when it is no member any more. */
  readonly name: string
}

export interface BallotView extends NamedPeer {
  readonly commit: string
  readonly tree: string
  readonly castMs: number
  /** The round's closing counts it. */
  readonly counted: boolean
  /** Why it cannot count. */
  readonly defect?: string
}

export interface VoteView extends NamedPeer {
  /** Null: it found no majority among the ballots. */
  readonly commit: string | null
  readonly castMs: number
  /** The round's `openedMs` for the vote of its own counting, later where it voted again for what a quorum had. */
  readonly view: number
  /** It came after the end of the votes and counts nothing. */
  readonly late: boolean
}

export interface ConfirmationView extends NamedPeer {
  readonly commit: string
  readonly castMs: number
  readonly view: number
}

export interface EquivocationView extends NamedPeer {
  readonly what: Contradiction
  /** The commits that it named; null for "no majority". */
  readonly said: readonly [string | null, string | null]
}

export interface RoundView {
  /** `<dataset>/<step>/<slot>` */
  readonly id: string
  readonly dataset: string
  readonly step: string
  readonly slot: number
  readonly state: RoundState
  /** Why it is undecided, as a code and as a sentence; the sentence also where confirmations are waited for. */
  readonly reason?: UndecidedReason | 'refused'
  readonly explanation?: string
  readonly trigger: Opening['trigger']
  readonly method: Method
  readonly openedBy: NamedPeer
  readonly electorate: readonly NamedPeer[]
  /** How many of the electorate decide. */
  readonly quorum: number
  /** What each member's ballot weighs, in thousandths; where the method weighs. */
  readonly weights?: Readonly<Record<string, number>>
  readonly parent: string | null
  readonly height: number
  readonly openedMs: number
  readonly cutoffMs: number
  readonly votesUntilMs: number
  readonly ballots: readonly BallotView[]
  readonly votes: readonly VoteView[]
  /** What a quorum voted for, and in which view; it is confirmed by all who see it, or voted on again. */
  readonly prepared?: { readonly commit: string; readonly view: number }
  readonly confirmations: readonly ConfirmationView[]
  /** Members that signed two different things of which only one can be their word. */
  readonly equivocations: readonly EquivocationView[]
  /** The result, once decided. */
  readonly commit?: string
}

export interface MemberAgreement extends NamedPeer {
  /** The commit it cast; null when it handed in none that was counted. */
  readonly commit: string | null
  readonly agrees: boolean
  readonly differences: Differences
}

export interface TruthView {
  readonly dataset: string
  /** Null while the dataset has no content that all agreed on or started from. */
  readonly commit: string | null
  /** Nobody votes on a dataset that is not shared: its truth is its owner's newest commit. */
  readonly policy: Policy
  /** Certificates so far; 0 while the truth is what the dataset was founded with, and where nobody votes. */
  readonly height: number
  /** This node's branch `ground-truth` is there. */
  readonly adopted: boolean
  readonly round?: string
  readonly signers: readonly NamedPeer[]
  readonly certificate?: Certificate
  /** Every member of the round's electorate; empty when their commits are not all here. */
  readonly agreement: readonly MemberAgreement[]
  readonly contested: readonly string[]
}

/** What checking a truth from its certificate alone found. */
export interface Verification {
  readonly dataset: string
  readonly ok: boolean
  /** Nothing was found wrong: there is nothing to check, or not here. */
  readonly unchecked?: boolean
  /** What does not hold, when something does not. */
  readonly reason?: string
  readonly commit: string | null
  readonly signers: readonly NamedPeer[]
  /** The commit that this node computed from the counted ballots. */
  readonly recomputed?: string
}

export type ConsensusEvent =
  | {
      readonly type: 'opened' | 'ballot' | 'closed' | 'vote'
      readonly dataset: string
      readonly round: string
    }
  | { readonly type: 'decided'; readonly dataset: string; readonly round: string; readonly commit: string }
  | { readonly type: 'undecided'; readonly dataset: string; readonly round: string; readonly reason: string }
  /** This node will not sign a record of the round, and why. */
  | { readonly type: 'refused'; readonly dataset: string; readonly round: string; readonly reason: string }
  /** A member signed two different things; both are kept. */
  | {
      readonly type: 'equivocation'
      readonly dataset: string
      readonly round: string
      readonly peer: string
      readonly what: Contradiction
    }
  /** The branch `ground-truth` moved. */
  | { readonly type: 'adopted'; readonly dataset: string; readonly round: string; readonly commit: string }
  /** Two certificates of one height: `commit` gave way to the truth. */
  | { readonly type: 'conflict'; readonly dataset: string; readonly round: string; readonly commit: string }

/** Undefined while the round is not opened. */
export function roundView(
  records: RoundRecords,
  facts: RoundFacts,
  now: number,
  nameOf: (peer: string) => string,
  evidence: readonly Equivocation[] = [],
): RoundView | undefined {
  const status = projectRound(records, facts, now)
  if (status === undefined) return undefined
  const opening = status.opening.value
  const named = (peer: string): NamedPeer => ({ peer, name: nameOf(peer) })
  const counted = status.closing?.value.ballots ?? {}
  const { commit, prepared } = status
  return {
    id: formatRoundId(records.id),
    ...records.id,
    ...standing(status, records),
    trigger: opening.trigger,
    method: opening.method,
    openedBy: named(opening.openedBy),
    electorate: opening.electorate.map(named),
    quorum: opening.quorum.votes,
    ...(opening.weights && { weights: opening.weights }),
    parent: opening.parent,
    height: opening.height,
    openedMs: opening.openedMs,
    cutoffMs: opening.cutoffMs,
    votesUntilMs: opening.votesUntilMs,
    ballots: records.ballots.map((ballot) => ({
      ...named(ballot.peer),
      commit: ballot.commit,
      tree: ballot.tree,
      castMs: ballot.timeMs,
      counted: counted[ballot.peer]?.commit === ballot.commit,
      ...(ballot.defect === undefined ? {} : { defect: ballot.defect }),
    })),
    votes: records.votes.map((vote) => ({
      ...named(vote.peer),
      commit: vote.commit,
      castMs: vote.timeMs,
      view: vote.view,
      late: isFirst(vote, opening) && vote.timeMs > opening.votesUntilMs,
    })),
    ...(prepared && { prepared: { commit: prepared.commit, view: prepared.view } }),
    confirmations: records.confirmations.map(({ peer, commit, timeMs, view }) => {
      return { ...named(peer), commit, castMs: timeMs, view }
    }),
    equivocations: evidence.map(({ peer, what, said }) => ({ ...named(peer), what, said })),
    ...(commit === undefined ? {} : { commit }),
  }
}

/** A round that nobody honest takes part in is shown as over, whatever its false opening says. */
function standing(
  { state, reason, refusal, opening, prepared }: RoundStatus,
  records: RoundRecords,
): Pick<RoundView, 'state' | 'reason' | 'explanation'> {
  if (refusal !== undefined) {
    return { state: 'undecided', reason: 'refused', explanation: `this node takes no part: ${refusal}` }
  }
  if (reason === undefined && prepared !== undefined && state === 'closed') {
    return { state, explanation: explainPrepared(prepared, records) }
  }
  if (reason === undefined) return { state }
  return { state, reason, explanation: explain(reason, records, opening.value) }
}
