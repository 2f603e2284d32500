/**
 * The terms of a round that follow from the dataset's rule and from what was decided before: everybody who knows both
 * arrives at the same ones, so that an opening with other terms is nobody's but its author's (protocols/voting.md [O6]).
 */
import { isDeepStrictEqual } from 'node:util'
import { type Method, PLAIN_RULE, type TruthRule } from '../datasets/truth-rule.ts'
import { quorumOf } from './quorum.ts'
import type { Opening } from './records.ts'
import type { RoundId } from './round-id.ts'

export interface Terms {
  readonly method: Method
  /** People hand the ballots in. */
  readonly byHand: boolean
  readonly quorum: Opening['quorum']
  readonly weights?: Readonly<Record<string, number>>
}

/** Whose terms are asked for. */
export type Asked = Pick<Opening, 'electorate' | 'parent' | 'trigger'>

/**
 * The terms of a round of that electorate on that parent; a sentence where they cannot be known here, since the history
 * that they follow from is not here.
 */
export type TermsOf = (id: RoundId, asked: Asked) => Terms | string

/** The terms of a rule that looks at nothing but itself. */
export function plainTerms(rule: TruthRule, { electorate }: { electorate: readonly string[] }): Terms {
  const quorum = quorumOf(electorate.length)
  return {
    method: rule.method,
    byHand: rule.ballots === 'hand',
    quorum: { ballots: quorum, votes: quorum },
  }
}

/** Where no rule is known: `identical`, with every member's result. */
export const PLAIN_TERMS: TermsOf = (_, asked) => plainTerms(PLAIN_RULE, asked)

/** Why an opening is not on these terms; undefined when it is. */
export function departure(opening: Opening, terms: Terms): string | undefined {
  if (!isDeepStrictEqual(asWritten(opening.method), asWritten(terms.method)))
    return 'its method is not the one that the dataset asks for'
  if ((opening.trigger === 'hand') !== terms.byHand) {
    return terms.byHand
      ? 'ballots of this dataset are cast by hand'
      : 'ballots of this dataset are not cast by hand'
  }
  if (!isDeepStrictEqual(opening.quorum, terms.quorum)) return 'its quorum is not the one that is due'
  if (!isDeepStrictEqual(opening.weights, terms.weights))
    return 'its weights do not follow from the past rounds'
  return undefined
}

/** As JSON has it: a rule may say -0, which an opening can only repeat as 0. */
function asWritten(method: Method): unknown {
  return JSON.parse(JSON.stringify(method))
}
