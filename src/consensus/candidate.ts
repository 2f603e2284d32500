import type { TruthRule } from '../datasets/truth-rule.ts'
import type { GroundTruth } from './ground-truth.ts'
import type { Ballot } from './records.ts'
import type { RoundRecords } from './round.ts'

export interface CandidateParts {
  readonly self: string
  /** This node's present head of branch `<step>-<node>`. */
  readonly head: (step: string) => string | undefined
  readonly truth: Pick<GroundTruth, 'treeOf'>
}

/** What this node would cast in a round by itself, if it has not cast yet. */
export async function candidateOf(
  { id, openings, ballots }: RoundRecords,
  wish: { readonly commit: string } | undefined,
  rule: TruthRule,
  { self, head, truth }: CandidateParts,
): Promise<Ballot | undefined> {
  if (ballots.some(({ peer }) => peer === self)) return undefined
  // What is cast by hand, people cast.
  if (openings.some(({ value }) => value.trigger === 'hand') || rule.ballots === 'hand') return undefined
  const requested = openings.some(({ value }) => value.trigger === 'request')
  const commit = wish?.commit ?? (requested ? head(id.step) : undefined)
  if (commit === undefined) return undefined
  return { commit, tree: await truth.treeOf(id.dataset, commit) }
}
