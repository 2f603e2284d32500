/** What past results say of members, for people: every figure with what it rests on (protocols/reliability.md). */
import { NodeError } from '../../base/errors.ts'
import { reliabilityStepsShownMax } from '../../base/limits-statistics.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { TruthRule } from '../../datasets/truth-rule.ts'
import type { Members } from '../../federation/members.ts'
import type { Voter } from '../quorum.ts'
import type { RoundTerms } from '../round-terms.ts'
import { type Difference, reliabilityOf, weightsOf } from './reliability.ts'
import type { ResultFacts } from './result-facts.ts'

export interface StepReliability {
  readonly dataset: string
  readonly step: string
  /** Results that say something of the member. */
  readonly counted: number
  readonly agreed: number
  /** Agreements since the last difference. */
  readonly inARow: number
  /** (agreed + 1) / (counted + 2), between 0 and 1. */
  readonly reliability: number
  /** What its ballot weighs next time, in thousandths; where the rule weighs. */
  readonly weight?: number
  /** Where the rule asks for it: whether its word may stand alone, and how many in a row that takes. */
  readonly proven?: { readonly is: boolean; readonly needed: number }
  /** The latest first. */
  readonly differences: readonly Difference[]
}

export interface MemberReliability {
  readonly peer: string
  readonly name: string
  readonly isMember: boolean
  /** Over all datasets that are shown. */
  readonly counted: number
  readonly agreed: number
  readonly steps: readonly StepReliability[]
}

export interface ReliabilityView {
  readonly members: readonly MemberReliability[]
  /** Datasets whose past results are not here. */
  readonly unknown: readonly { readonly dataset: string; readonly reason: string }[]
}

/** Past results of one step of one dataset, and who is asked about. */
export interface StepPast {
  readonly dataset: string
  readonly step: string
  readonly rule: TruthRule
  /** Newest last. */
  readonly results: readonly ResultFacts[]
  readonly peers: readonly string[]
}

export interface ReliabilitiesParts {
  readonly datasets: Pick<Datasets, 'list' | 'find' | 'follows'>
  readonly members: Pick<Members, 'list'>
  readonly nameOf: (peer: string) => string
  /** Who votes on a dataset. */
  readonly voters: (dataset: string) => readonly Voter[]
  readonly terms: Pick<RoundTerms, 'read' | 'rule'>
}

export class Reliabilities {
  readonly #parts: ReliabilitiesParts

  constructor(parts: ReliabilitiesParts) {
    this.#parts = parts
  }

  /**
   * Of all members, or of one by name or peer id; in all datasets that this node follows, or in one.
   *
   * @throws NodeError DATASET_NOT_FOUND, MEMBER_NOT_FOUND
   */
  async list(asked: { dataset?: string; member?: string } = {}): Promise<ReliabilityView> {
    const { members, datasets, nameOf } = this.#parts
    const pasts: StepPast[] = []
    const unknown: { dataset: string; reason: string }[] = []
    for (const dataset of this.#datasets(asked.dataset)) {
      if (!datasets.follows(dataset) && asked.dataset === undefined) continue
      const found =
        pasts.length < reliabilityStepsShownMax
          ? await this.#pasts(dataset)
          : 'there are too many datasets to look at all; name this one'
      if (typeof found === 'string') unknown.push({ dataset, reason: found })
      else pasts.push(...found)
    }
    const present = members.list().map(({ peer }) => peer)
    const known = [...new Set([...present, ...pasts.flatMap(({ peers }) => peers)])]
    const wanted = known.filter((peer) => {
      return asked.member === undefined || peer === asked.member || nameOf(peer) === asked.member
    })
    if (asked.member !== undefined && wanted.length === 0) {
      const { member } = asked
      throw new NodeError('MEMBER_NOT_FOUND', `No member is named ${member}`, { member })
    }
    const views = wanted.map((peer): MemberReliability => {
      return { name: nameOf(peer), isMember: present.includes(peer), ...memberReliability(pasts, peer) }
    })
    return { members: views.sort((a, b) => (a.name < b.name ? -1 : 1)), unknown }
  }

  /** @throws NodeError DATASET_NOT_FOUND */
  #datasets(only: string | undefined): string[] {
    const { datasets } = this.#parts
    if (only === undefined) {
      const shared = datasets.list().filter(({ name }) => datasets.find(name)?.policy === 'shared')
      return shared.map(({ name }) => name)
    }
    if (datasets.find(only) !== undefined) return [only]
    throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${only}`, { name: only })
  }

  async #pasts(dataset: string): Promise<StepPast[] | string> {
    const { terms, voters, datasets } = this.#parts
    if (datasets.find(dataset)?.policy !== 'shared') return 'nobody votes on it'
    const results = await terms.read(dataset)
    if (typeof results === 'string') return results
    const steps = [...new Set(results.map(({ round }) => round.step))].sort()
    return steps.map((step) => {
      const ofStep = results.filter(({ round }) => round.step === step)
      const cast = ofStep.flatMap(({ ballots }) => ballots.map(({ peer }) => peer))
      const peers = [...new Set([...voters(dataset).map(({ peer }) => peer), ...cast])]
      return { dataset, step, rule: terms.rule(dataset, step), results: ofStep, peers }
    })
  }
}

/** What these results say of one member. Pure. */
export function memberReliability(
  pasts: readonly StepPast[],
  peer: string,
): Pick<MemberReliability, 'peer' | 'counted' | 'agreed' | 'steps'> {
  const steps = pasts.filter(({ peers }) => peers.includes(peer)).map((past) => stepReliability(past, peer))
  const sum = (of: 'counted' | 'agreed') => steps.reduce((total, step) => total + step[of], 0)
  return { peer, counted: sum('counted'), agreed: sum('agreed'), steps }
}

function stepReliability({ dataset, step, rule, results }: StepPast, peer: string): StepReliability {
  const { counted, agreed, inARow, reliability, differences } = reliabilityOf(results, peer)
  const weight = rule.method.name === 'weighted' ? weightsOf(results, [peer])[peer] : undefined
  const { adaptive } = rule
  return {
    ...{ dataset, step, counted, agreed, inARow },
    reliability: reliability.numerator / reliability.denominator,
    ...(weight === undefined ? {} : { weight }),
    ...(adaptive && { proven: { is: inARow >= adaptive.proven, needed: adaptive.proven } }),
    differences,
  }
}
