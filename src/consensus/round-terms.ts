/**
 * What the rounds of one dataset have to be like, for this node: its rule as the registry has it, and the history of its
 * truth where the rule looks back.
 */
import type { Datasets } from '../datasets/datasets.ts'
import { ruleOf, type TruthRule } from '../datasets/truth-rule.ts'
import { plainTerms, type TermsOf } from './terms.ts'

export interface RoundTermsParts {
  readonly datasets: Pick<Datasets, 'find'>
}

export class RoundTerms {
  readonly #parts: RoundTermsParts

  constructor(parts: RoundTermsParts) {
    this.#parts = parts
  }

  /** The terms of the dataset's rounds as far as they are known without looking anywhere. */
  of(dataset: string): TermsOf {
    return ({ step }, asked) => plainTerms(this.rule(dataset, step), asked)
  }

  rule(dataset: string, step: string): TruthRule {
    return ruleOf(this.#parts.datasets.find(dataset)?.record.truth, step)
  }
}
