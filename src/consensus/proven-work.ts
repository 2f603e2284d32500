/**
 * Who is to make the results of a scheduled slot (protocols/reliability.md §5), for whoever runs it. One run makes the
 * outputs of all its steps, so it is left to others only where every one of them is.
 */
import { provenInLineMax } from '../base/limits-statistics.ts'
import type { Datasets } from '../datasets/datasets.ts'
import type { Registry } from '../registry/registry.ts'
import { isEntitled, type Voter } from './quorum.ts'
import { ballotSchema, parseValue } from './records.ts'
import type { Repetition } from './reliability/repetition.ts'
import { ballotKey, formatRoundId, type RoundId } from './round-id.ts'
import type { RoundTerms } from './round-terms.ts'

export interface ProvenWorkParts {
  readonly registry: Pick<Registry, 'get'>
  readonly datasets: Pick<Datasets, 'find'>
  readonly terms: Pick<RoundTerms, 'repetition'>
  /** Who votes on a dataset. */
  readonly voters: (dataset: string) => readonly Voter[]
  readonly now: () => number
}

export interface Workers {
  /** In the order in which they take over from each other. */
  readonly workers: readonly string[]
  /** Whether the member's ballots for all outputs are here. */
  readonly handedIn: (peer: string) => boolean
}

/** `unknown` where the past results that it follows from are not here. */
export async function workersOf(
  outputs: readonly RoundId[],
  { registry, datasets, terms, voters, now }: ProvenWorkParts,
): Promise<Workers | 'everybody' | 'unknown'> {
  const repetitions: Repetition[] = []
  for (const id of outputs) {
    // What is not voted on is each member's own affair.
    if (datasets.find(id.dataset)?.policy !== 'shared') return 'everybody'
    const entitled = voters(id.dataset).filter((one) => isEntitled(one, now()))
    const repetition = await terms.repetition(id, entitled.map(({ peer }) => peer).sort())
    if (typeof repetition === 'string') return 'unknown'
    if (repetition === undefined || repetition.needed > 1 || entitled.length < 2) return 'everybody'
    repetitions.push(repetition)
  }
  // Each round counts on the first of its own line alone.
  const [first, ...rest] = repetitions.map(({ workers }) => workers.slice(0, provenInLineMax))
  const workers = first?.filter((peer) => rest.every((line) => line.includes(peer))) ?? []
  if (workers.length === 0) return 'everybody'
  const handedIn = (peer: string) =>
    outputs.every((id) => {
      const value = registry.get(ballotKey(formatRoundId(id), peer))?.value
      return value !== undefined && parseValue(ballotSchema, value) !== undefined
    })
  return { workers, handedIn }
}
