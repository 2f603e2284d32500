/**
 * Where ballots meet the dataset: looks into the commits that members cast, counts a closing and writes the commit that
 * results. The rules are tally.ts, methods/ and result-commit.ts; here is only the reading and writing.
 */
import { isNodeError } from '../base/errors.ts'
import { candidateFetchTimeoutMs } from '../base/limits.ts'
import type { Datasets } from '../datasets/datasets.ts'
import type { Repository, TreeFile } from '../datasets/git/repository.ts'
import type { Method } from '../datasets/truth-rule.ts'
import { Listings } from './listings.ts'
import { inspectFiles, looksInto, mergeFiles } from './merging.ts'
import type { Outcome } from './plan.ts'
import type { Ballot, Closing, Opening } from './records.ts'
import { resultOf } from './result-of.ts'
import type { RoundId } from './round-id.ts'
import { type Ballots, type Count, conclude, countFiles, countWhole, type Tally } from './tally.ts'

export interface CountingParts {
  readonly datasets: Pick<Datasets, 'repository' | 'ensureCommit'>
}

export interface Counted {
  readonly repository: Repository
  readonly count: Count
  readonly tally: Tally
}

export class Counting {
  readonly #parts: CountingParts
  readonly #listings = new Listings()

  constructor(parts: CountingParts) {
    this.#parts = parts
  }

  /**
   * Brings a ballot's commit here and looks into it. What is found depends on the commit and the method alone, so that all
   * find the same.
   *
   * @returns why the ballot cannot count, or undefined when it can.
   * @throws NodeError when the commit cannot be had now: PEER_UNREACHABLE, TIMED_OUT, DATASET_NOT_FOUND.
   */
  async examine(
    dataset: string,
    ballot: Ballot,
    method: Method,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    try {
      const repository = await this.#with(dataset, ballot.commit, signal)
      const tree = await this.#listings.treeOf(repository, ballot.commit)
      if (tree !== ballot.tree) return 'its commit does not hold the tree that it names'
      const files = await this.#listings.filesOf(repository, ballot.commit)
      return await inspectFiles(repository, method, files, signal)
    } catch (error) {
      // A hostile tree is the fault of who cast it and ends that ballot; whatever else went wrong may yet go right.
      if (isNodeError(error, 'PATH_UNSAFE')) return error.message
      throw error
    }
  }

  /** Counts a closing and stores its result. @throws NodeError when a commit cannot be had now. */
  async count(round: RoundId, opening: Opening, closing: Closing, signal: AbortSignal): Promise<Outcome> {
    const { repository, tally } = await this.counted(round.dataset, opening, closing, signal)
    if (!tally.decided) return { commit: null }
    const tree = await this.#stored(repository, tally.files)
    return { commit: await repository.writeCommit(resultOf(round, opening, closing, tally, tree)) }
  }

  /** What the ballots of a closing say, file by file. @throws NodeError when a commit cannot be had now. */
  async counted(
    dataset: string,
    opening: Pick<Opening, 'parent' | 'method' | 'weights'>,
    { ballots }: Pick<Closing, 'ballots'>,
    signal: AbortSignal,
  ): Promise<Counted> {
    const repository = await this.#parts.datasets.repository(dataset)
    const { method, weights: written } = opening
    const parent = await this.#filesOf(dataset, opening.parent, signal)
    const listing = Object.entries(ballots).map(async ([peer, { commit }]) => {
      return [peer, await this.#filesOf(dataset, commit, signal)] as const
    })
    const cast = new Map(await Promise.all(listing))
    const weights = written && new Map(Object.entries(written))
    const count = countBy(method, cast, weights)
    const parts = { repository, signal, ...(weights && { weights }) }
    const merged = looksInto(method) ? await mergeFiles(count, parent, { ...parts, method }) : []
    return { repository, count, tally: conclude(count, parent, merged) }
  }

  async #stored(repository: Repository, files: readonly TreeFile[]): Promise<string> {
    try {
      return await repository.writeTree([...files])
    } catch (error) {
      // Files of a commit that was collected in the meantime: the next attempt fetches it again.
      if (isNodeError(error, 'NOT_FOUND')) this.#listings.forget(repository)
      throw error
    }
  }

  async #filesOf(dataset: string, commit: string | null, signal: AbortSignal): Promise<readonly TreeFile[]> {
    if (commit === null) return []
    return this.#listings.filesOf(await this.#with(dataset, commit, signal), commit)
  }

  async #with(dataset: string, commit: string, signal: AbortSignal): Promise<Repository> {
    const repository = await this.#parts.datasets.repository(dataset)
    try {
      await this.#listings.treeOf(repository, commit)
      return repository
    } catch (error) {
      if (!isNodeError(error, 'COMMIT_NOT_FOUND')) throw error
    }
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(candidateFetchTimeoutMs)])
    await this.#parts.datasets.ensureCommit(dataset, commit, { signal: bounded })
    return repository
  }
}

function countBy(
  { name }: Opening['method'],
  ballots: Ballots,
  weights: ReadonlyMap<string, number> | undefined,
): Count {
  if (name === 'strangeness') return countWhole(ballots)
  return countFiles(ballots, name === 'weighted' ? weights : undefined)
}
