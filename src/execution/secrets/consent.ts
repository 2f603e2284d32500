/**
 * What a step asks of this node's owner, whom nobody else can answer for: secrets, and, where another member had a hand
 * in the plan, data that do not go to all. Pipelines and schedules are records that any member writes, and they run
 * here by themselves: a step of theirs that reads such data could copy them into a dataset that goes to all. Pure.
 */
import { type Described, type Withheld, withheldAs, withheldText } from '../../datasets/policies.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import { readsOf } from '../publishing/withheld.ts'
import type { Run } from '../runs/run.ts'
import { isForeign } from '../steps/refusals.ts'
import { privateVariables } from './secrets.ts'

/** A dataset that not all members may have, and what a step does with it. */
export interface WithheldUse {
  readonly dataset: string
  /** Tells datasets of one name apart. */
  readonly id: string
  readonly policy: Withheld
  /** Whoever writes reads as well, what its own branch held before. */
  readonly use: 'reads' | 'writes'
}

export interface Asked {
  /** Names of the variables that are filled with secrets. */
  readonly variables: readonly string[]
  readonly datasets: readonly WithheldUse[]
}

/** What is known of the data here. */
export interface ConsentFacts {
  readonly find: (dataset: string) => ({ readonly id: string } & Described) | undefined
  readonly findRun: (id: string) => Pick<Run, 'steps'> | undefined
}

/** Whose hand is in a run's plan: `author` as in `Run`; `owner` of a run that another member asked for. */
export type Hand = Pick<Run, 'author' | 'owner'>

/**
 * What the owner is to be asked about, for the step's tool or for its filter, which sees what was made of the same data.
 * Of a run that another member asked for, the data are judged when it comes (remote/data-policy.ts).
 */
export function askedOf(
  p: { readonly step: PipelineStep; readonly filter?: PipelineStep | undefined; readonly hand: Hand },
  facts: ConsentFacts,
): Asked {
  const { step, filter, hand } = p
  const judged = hand.author === undefined || isForeign(hand)
  return {
    variables: privateVariables(filter ?? step),
    datasets: judged ? [] : withheldUses(step, facts),
  }
}

/**
 * Whether an approval that was given for these datasets, by name and id, is one for what is asked now. Fewer are not the
 * same: where a dataset has been shared since, what comes of the others may now go to all.
 */
export function covers(
  approved: Readonly<Record<string, string>> = {},
  { datasets }: Pick<Asked, 'datasets'>,
): boolean {
  if (datasets.length === 0) return true
  const same = datasets.every(({ dataset, id }) => approved[dataset] === id)
  return same && Object.keys(approved).length === datasets.length
}

export function isNothing({ variables, datasets }: Asked): boolean {
  return variables.length === 0 && datasets.length === 0
}

/** `asks for secrets of this node (TOKEN) and reads patients (compute-only)`. */
export function askedText({ variables, datasets }: Asked): string {
  const secrets = variables.length === 0 ? [] : [`asks for secrets of this node (${variables.join(', ')})`]
  return [...secrets, ...datasets.map(useText)].join(' and ')
}

/** `reads patients (compute-only)`. */
export function useText({ use, dataset, policy }: Pick<WithheldUse, 'use' | 'dataset' | 'policy'>): string {
  return `${use === 'reads' ? 'reads' : 'writes into'} ${dataset} (${withheldText(policy)})`
}

function withheldUses(step: PipelineStep, { find, findRun }: ConsentFacts): WithheldUse[] {
  const reads = readsOf(step, findRun)
  return [...new Set([...reads, step.output_dataset])].flatMap((dataset) => {
    const known = find(dataset)
    const policy = known && withheldAs(known)
    if (known === undefined || policy === undefined) return []
    const { id } = known
    return [{ dataset, id, policy, use: reads.includes(dataset) ? 'reads' : 'writes' }]
  })
}
