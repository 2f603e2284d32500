/**
 * Where ballots meet the dataset: looks into the commits that members cast, counts a closing and writes the commit that
 * results. The rules are tally.ts and result-commit.ts; here is only the reading and writing.
 */
import { isNodeError } from '../base/errors.ts'
import { candidateFetchTimeoutMs } from '../base/limits.ts'
import type { Datasets } from '../datasets/datasets.ts'
import type { Repository, TreeFile } from '../datasets/git/repository.ts'
import type { Outcome } from './decisions.ts'
import type { Ballot, Closing, Opening } from './records.ts'
import { resultCommit } from './result-commit.ts'
import type { RoundId } from './round-id.ts'
import { type Tally, tallyIdentical } from './tally.ts'

export interface CountingParts {
  readonly datasets: Pick<Datasets, 'repository' | 'ensureCommit'>
}

export class Counting {
  readonly #parts: CountingParts

  constructor(parts: CountingParts) {
    this.#parts = parts
  }

  /**
   * Brings a ballot's commit here and looks into it.
   *
   * @returns why the ballot cannot count, or undefined when it can.
   * @throws NodeError when the commit cannot be had now: PEER_UNREACHABLE, TIMED_OUT, DATASET_NOT_FOUND.
   */
  async examine(dataset: string, ballot: Ballot, signal: AbortSignal): Promise<string | undefined> {
    try {
      const repository = await this.#with(dataset, ballot.commit, signal)
      const { tree } = await repository.readCommit(ballot.commit)
      if (tree !== ballot.tree) return 'its commit does not hold the tree that it names'
      await repository.listFiles(ballot.commit)
    } catch (error) {
      // A hostile tree is the fault of who cast it and ends that ballot; whatever else went wrong may yet go right.
      if (isNodeError(error, 'PATH_UNSAFE')) return error.message
      throw error
    }
    return undefined
  }

  async isHere(dataset: string, commit: string): Promise<boolean> {
    return (await this.#parts.datasets.repository(dataset)).hasCommit(commit)
  }

  /** Counts a closing and stores its result. @throws NodeError when a commit cannot be had now. */
  async count(round: RoundId, opening: Opening, closing: Closing, signal: AbortSignal): Promise<Outcome> {
    const { repository, tally } = await this.tally(round.dataset, opening, closing, signal)
    if (!tally.decided) return { commit: null }
    const tree = await repository.writeTree([...tally.files])
    const counted = new Map(Object.entries(closing.ballots).map(([peer, { commit }]) => [peer, commit]))
    const contested = tally.contested.length
    return {
      commit: await repository.writeCommit(resultCommit({ round, opening, counted, tree, contested })),
    }
  }

  /** What the ballots of a closing say, file by file. @throws NodeError when a commit cannot be had now. */
  async tally(
    dataset: string,
    { parent }: Opening,
    { ballots }: Closing,
    signal: AbortSignal,
  ): Promise<{ repository: Repository; tally: Tally }> {
    const repository = await this.#parts.datasets.repository(dataset)
    const files = async (commit: string): Promise<TreeFile[]> => {
      await this.#with(dataset, commit, signal)
      return repository.listFiles(commit)
    }
    const before = parent === null ? [] : await files(parent)
    const cast = new Map<string, TreeFile[]>()
    for (const [peer, { commit }] of Object.entries(ballots)) cast.set(peer, await files(commit))
    return { repository, tally: tallyIdentical(cast, before) }
  }

  async #with(dataset: string, commit: string, signal: AbortSignal): Promise<Repository> {
    const repository = await this.#parts.datasets.repository(dataset)
    if (await repository.hasCommit(commit)) return repository
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(candidateFetchTimeoutMs)])
    await this.#parts.datasets.ensureCommit(dataset, commit, { signal: bounded })
    return repository
  }
}
