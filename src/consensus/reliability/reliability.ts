/** How far a member's results have agreed with what was decided, from past results alone (protocols/reliability.md). */
import {
  reliabilityDifferencesShownMax,
  reliabilityRoundsMax,
  reliabilityWeightMax,
} from '../../base/limits-statistics.ts'
import { formatRoundId } from '../round-id.ts'
import type { BallotFacts, ResultFacts } from './result-facts.ts'

/** A number as it is, not rounded to any digit. */
export interface Fraction {
  readonly numerator: number
  readonly denominator: number
}

export interface Difference {
  readonly round: string
  /** In how many files and entries. */
  readonly differs: number
}

export interface Reliability {
  /** Results that say something of the member, the last `reliabilityRoundsMax` of them. */
  readonly counted: number
  /** In so many of these it agreed. */
  readonly agreed: number
  /** Agreements since the last difference, over all of the history. */
  readonly inARow: number
  /** Laplace's rule of succession: (agreed + 1) / (counted + 2). */
  readonly reliability: Fraction
  /** What it rests on: in which of these results the member differed, the latest first. */
  readonly differences: readonly Difference[]
}

/**
 * [R1]–[R4] How reliable `peer` has been. The estimate is Laplace's rule of succession (Laplace 1814): the probability of
 * agreeing once more, of somebody of whom nothing else is known. The run of agreements is that of BOINC's adaptive
 * replication (Anderson 2004; BOINC wiki, AdaptiveReplication): one difference ends it.
 *
 * @param history newest last.
 */
export function reliabilityOf(history: readonly ResultFacts[], peer: string): Reliability {
  const differences: Difference[] = []
  let [counted, agreed, inARow] = [0, 0, 0]
  let isUnbroken = true
  for (const facts of history.toReversed()) {
    const ballot = telling(facts, peer)
    if (ballot === undefined) continue
    isUnbroken &&= ballot.agrees
    if (isUnbroken) inARow += 1
    if (counted === reliabilityRoundsMax) {
      if (!isUnbroken) break
      continue
    }
    counted += 1
    if (ballot.agrees) agreed += 1
    else if (differences.length < reliabilityDifferencesShownMax) {
      differences.push({ round: formatRoundId(facts.round), differs: ballot.differs })
    }
  }
  const reliability = { numerator: agreed + 1, denominator: counted + 2 }
  return { counted, agreed, inARow, reliability, differences }
}

/**
 * [R5] What each member's ballot weighs in method `weighted`: its reliability in thousandths, rounded down, at least 1.
 * Between 9 and 990, and 500 for somebody without a past.
 */
export function weightsOf(
  history: readonly ResultFacts[],
  electorate: readonly string[],
): Record<string, number> {
  return Object.fromEntries(electorate.map((peer) => [peer, weightOf(reliabilityOf(history, peer))]))
}

function weightOf({ reliability: { numerator, denominator } }: Reliability): number {
  // Whole numbers far below 2^53 divided and rounded down: right to the last one, since they never meet from below.
  return Math.max(1, Math.floor((reliabilityWeightMax * numerator) / denominator))
}

/** [R6] So many agreements in a row that its word may stand alone. */
export function isProven(history: readonly ResultFacts[], peer: string, proven: number): boolean {
  return reliabilityOf(history, peer).inARow >= proven
}

/**
 * The member's ballot, where the result says something of it. A lone ballot agrees with itself [R2]; where there was no
 * majority on something, who agrees on the rest may still be wrong on that [R3].
 */
function telling({ ballots, contested }: ResultFacts, peer: string): BallotFacts | undefined {
  if (ballots.length < 2) return undefined
  const ballot = ballots.find((one) => one.peer === peer)
  return ballot?.agrees && contested > 0 ? undefined : ballot
}
