/** What a node looks at in a round, and what it may come to do (protocols/voting.md §4). */
import type { Rank } from './certificate.ts'
import type { Standing } from './locking.ts'
import type { Truth } from './opening.ts'
import type { Voter } from './quorum.ts'
import type { Ballot, Claim, Closing, Opening } from './records.ts'
import { turnMs } from './rendezvous.ts'
import type { Prepared, RoundRecords, RoundStatus } from './round.ts'
import type { RoundId } from './round-id.ts'
import type { TermsOf } from './terms.ts'

/** Another round of the same dataset. */
export interface Rival {
  readonly id: RoundId
  readonly height: number
  readonly state: RoundStatus['state']
  /** When it ends at the latest. */
  readonly votesUntilMs: number
  /** This node has signed a result of it. */
  readonly voted: boolean
  /** Until when that keeps it from signing in another one, ms: locks, not waits, keep truths apart. */
  readonly votedUntilMs: number
  /** It is closed, in a way that this node would sign. */
  readonly signable: boolean
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

/** Who brings a truth, and since when it is there. */
export interface HeldTruth {
  readonly bringers: readonly string[]
  readonly sinceMs: number
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
  /** What it is bound by that this node signed before. */
  readonly standing: Standing
  /** Who brings the truth that this node holds. */
  readonly held?: HeldTruth | undefined
  /** The view of the quorum of votes that this node shows to the others in this round; -1 when it shows none. */
  readonly shownMs: number
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
  | { readonly do: 'vote'; readonly closing: string; readonly commit: string | null; readonly view: number }
  | { readonly do: 'confirm'; readonly prepared: Prepared }
  /** To the others, who may not know of this quorum of votes. */
  | { readonly do: 'show'; readonly prepared: Prepared }
  | { readonly do: 'certify'; readonly decision: Prepared }
  /** The truth that this node holds, in its own name. */
  | { readonly do: 'bring' }
  /** Nothing to do but to say so: this node will not sign that record. */
  | { readonly do: 'refuse'; readonly record: string; readonly reason: string }

export interface Decision {
  readonly actions: readonly Action[]
  /** When to look again even if nothing changes, ms since the epoch. */
  readonly wakeMs?: number | undefined
}

/** Collects what is to be done now and when to look again. */
export class Plan {
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
