/**
 * What the rounds of one dataset have to be like, for this node: its rule as the registry has it, and the history of its
 * truth where the rule looks back (protocols/reliability.md).
 */

import type { Clock } from '../base/clock.ts'
import { candidateFetchTimeoutMs } from '../base/limits.ts'
import { provenInLineMax, reliabilityTermsMax } from '../base/limits-statistics.ts'
import type { Logger } from '../base/logger.ts'
import type { Datasets } from '../datasets/datasets.ts'
import { ruleOf, type TruthRule, type TruthRules } from '../datasets/truth-rule.ts'
import type { Truth } from './opening.ts'
import type { Voter } from './quorum.ts'
import { History, type HistoryParts } from './reliability/history.ts'
import { weightsOf } from './reliability/reliability.ts'
import { type Repetition, repetitionOf } from './reliability/repetition.ts'
import type { ResultFacts } from './reliability/result-facts.ts'
import { formatRoundId, type RoundId } from './round-id.ts'
import { type Asked, plainTerms, type Terms, type TermsOf } from './terms.ts'

export interface RoundTermsParts {
  /** This node's peer id. */
  readonly self: string
  readonly datasets: Pick<Datasets, 'find' | 'follows' | 'repository' | 'ensureCommit'>
  /** Who votes on a dataset. */
  readonly members: (dataset: string) => readonly Voter[]
  /** The truth that this node holds. */
  readonly truth: (dataset: string) => Promise<Truth>
  /** Whether some member's schedule has a round at that time. */
  readonly isSlot: (id: RoundId) => boolean
  readonly onRead: HistoryParts['onRead']
  readonly clock: Clock
  readonly log: Logger
}

type Results = readonly ResultFacts[]

export class RoundTerms {
  /** The past results that are held here. */
  readonly history: History
  readonly #parts: RoundTermsParts
  /** Terms that were worked out, by the results that they follow from. */
  readonly #known = new WeakMap<Results, Map<string, Terms>>()

  constructor(parts: RoundTermsParts) {
    this.#parts = parts
    this.history = new History(parts)
  }

  /**
   * Gets ready what the terms of the dataset's rounds look back on.
   *
   * @param fetch where it is not here, whoever votes on the dataset or keeps a copy sends for it, until this is aborted.
   */
  async prepare(dataset: string, fetch?: AbortSignal): Promise<void> {
    const { self, datasets, members, truth } = this.#parts
    const known = datasets.find(dataset)
    if (known?.policy !== 'shared' || !looksBack(known.record.truth)) return
    const wanted = datasets.follows(dataset) || members(dataset).some(({ peer }) => peer === self)
    await this.history.read(dataset, await truth(dataset), wanted ? fetch : undefined)
  }

  /** The terms of the dataset's rounds as far as they are known without looking anywhere. */
  of(dataset: string): TermsOf {
    return (id, asked) => {
      const rule = this.rule(dataset, id.step)
      if (!looksBack({ all: rule })) return plainTerms(rule, asked)
      const results = this.history.upTo(dataset, asked.parent, id.step)
      if (typeof results === 'string') return results
      // [A4] Who names a slot of its own choosing is as good as who asks for a round.
      const scheduled = asked.trigger === 'schedule' && this.#parts.isSlot(id)
      return this.#terms({ id, asked, rule, results, scheduled })
    }
  }

  /**
   * Who is to work in a scheduled round on the truth that this node holds; undefined where everybody works each time, a
   * sentence where it cannot be known here.
   */
  async repetition(id: RoundId, electorate: readonly string[]): Promise<Repetition | string | undefined> {
    const rule = this.rule(id.dataset, id.step)
    if (rule.adaptive === undefined) return undefined
    await this.prepare(id.dataset, AbortSignal.timeout(candidateFetchTimeoutMs))
    const { commit } = await this.#parts.truth(id.dataset)
    const results = this.history.upTo(id.dataset, commit, id.step)
    return typeof results === 'string' ? results : repetitionIn({ id, electorate, rule, results })
  }

  /** All results behind the truth that this node holds, newest last; a sentence where they are not here. */
  async read(dataset: string): Promise<Results | string> {
    const truth = await this.#parts.truth(dataset)
    await this.history.read(dataset, truth)
    return this.history.upTo(dataset, truth.commit)
  }

  rule(dataset: string, step: string): TruthRule {
    return ruleOf(this.#parts.datasets.find(dataset)?.record.truth, step)
  }

  #terms(past: PastTerms): Terms {
    const { id, asked, rule, results, scheduled } = past
    const known = this.#known.get(results) ?? new Map<string, Terms>()
    this.#known.set(results, known)
    const name = JSON.stringify([formatRoundId(id), scheduled, rule, asked.electorate])
    const terms = known.get(name) ?? termsAfter(past)
    known.set(name, terms)
    const [oldest] = known.keys()
    if (known.size > reliabilityTermsMax && oldest !== undefined) known.delete(oldest)
    return terms
  }
}

/** Whether rounds by these rules depend on past results. */
export function looksBack({ all, steps = {} }: TruthRules = {}): boolean {
  const rules = [...(all === undefined ? [] : [all]), ...Object.values(steps)]
  return rules.some(({ method, adaptive }) => method.name === 'weighted' || adaptive !== undefined)
}

export interface PastTerms {
  readonly id: RoundId
  readonly asked: Asked
  readonly rule: TruthRule
  /** Of the round's step, up to its parent, newest last. */
  readonly results: Results
  /** It is a round of a slot that a schedule has. */
  readonly scheduled: boolean
}

/** The terms that follow from past results ([R5], [A1]–[A4]). Pure. */
export function termsAfter({ id, asked, rule, results, scheduled }: PastTerms): Terms {
  const { electorate } = asked
  const plain = plainTerms(rule, asked)
  const repetition = scheduled ? repetitionIn({ id, electorate, rule, results }) : undefined
  const weights = rule.method.name === 'weighted' ? { weights: weightsOf(results, electorate) } : {}
  if (repetition === undefined || repetition.needed >= plain.quorum.ballots) return { ...plain, ...weights }
  // Whoever comes behind these is not waited for, and so nobody's word but theirs is to stand alone.
  const proven = repetition.workers.slice(0, provenInLineMax).sort()
  return { ...plain, ...weights, quorum: { ...plain.quorum, proven } }
}

/** Who is to work in a round; undefined where the rule has everybody work each time. Pure. */
export function repetitionIn(p: {
  readonly id: RoundId
  readonly electorate: readonly string[]
  readonly rule: TruthRule
  readonly results: Results
}): Repetition | undefined {
  const { id, electorate, rule, results: history } = p
  if (rule.adaptive === undefined || rule.ballots === 'hand') return undefined
  const { quorum } = plainTerms(rule, { electorate })
  return repetitionOf({
    ...{ round: formatRoundId(id), electorate, history, rule: rule.adaptive, quorum: quorum.ballots },
  })
}
