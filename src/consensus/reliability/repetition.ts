import { createHash } from 'node:crypto'
import type { TruthRule } from '../../datasets/truth-rule.ts'
import { lineUp } from '../rendezvous.ts'
import { isProven } from './reliability.ts'
import type { ResultFacts } from './result-facts.ts'

export type Adaptive = NonNullable<TruthRule['adaptive']>

export interface RepetitionParts {
  /** The round's name, `<dataset>/<step>/<slot>`. */
  readonly round: string
  readonly electorate: readonly string[]
  /** Of the round's parent and step, newest last. */
  readonly history: readonly ResultFacts[]
  readonly rule: Adaptive
  /** Of ballots, where everybody works. */
  readonly quorum: number
}

export interface Repetition {
  /** A closing counts ballots of so many `workers` at least. */
  readonly needed: number
  /**
   * Who does the work. Where one is enough, all proven members in the order in which each takes over when the one before
   * is silent; else everybody.
   */
  readonly workers: readonly string[]
  /** Repeated by everybody only to look after the proven members. */
  readonly check: boolean
}

/**
 * [A1]–[A3] How often a result is repeated (BOINC's adaptive replication; protocols/reliability.md §5). Everybody who
 * knows the round's parent arrives at the same answer.
 */
export function repetitionOf({ round, electorate, history, rule, quorum }: RepetitionParts): Repetition {
  const proven = electorate.filter((peer) => isProven(history, peer, rule.proven))
  const check = proven.length > 0 && isCheck(round, rule.checks)
  if (check || proven.length === 0) {
    return { needed: quorum, workers: lineUp(round, 'work', electorate), check }
  }
  return { needed: 1, workers: lineUp(round, 'work', proven), check: false }
}

/** [A1] One round in `checks`, whichever its name's hash hits. */
export function isCheck(round: string, checks: number): boolean {
  const hash = createHash('sha256').update(round).digest('hex')
  return BigInt(`0x${hash}`) % BigInt(checks) === 0n
}
