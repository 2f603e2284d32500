/**
 * The results behind a dataset's ground truth as this node holds them, read from the repository once for each truth
 * (protocols/reliability.md §2). Nothing is trusted but the newest truth, which is certified: it names its parent, and so
 * on, so what stands at each height follows from it.
 */
import type { Clock } from '../../base/clock.ts'
import { isNodeError, messageOf } from '../../base/errors.ts'
import { candidateFetchTimeoutMs, candidateRetryMs } from '../../base/limits.ts'
import {
  reliabilityDatasetsMax,
  reliabilityHistoryMax,
  reliabilityParentsMax,
} from '../../base/limits-statistics.ts'
import type { Logger } from '../../base/logger.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { CommitInfo } from '../../datasets/git/repository.ts'
import type { Truth } from '../opening.ts'
import { historyOf, type ResultFacts } from './result-facts.ts'

export interface HistoryParts {
  readonly datasets: Pick<Datasets, 'repository' | 'ensureCommit'>
  /** The results of a dataset have come here, or have changed. */
  readonly onRead: (dataset: string) => void
  readonly clock: Clock
  readonly log: Logger
}

type Results = readonly ResultFacts[]

type Link = Pick<CommitInfo, 'oid' | 'message' | 'parents'>

/** What stands behind one truth: itself first, then its parent, and so on, as far as results are read. */
interface Chain {
  readonly truth: Truth
  readonly links: readonly Link[]
  /** By parent and step; the same array each time, so that what follows from it can be remembered by it. */
  readonly slices: Map<string, Results>
}

const READ_MAX = reliabilityHistoryMax + reliabilityParentsMax
const NOTHING: Results = []

export class History {
  readonly #parts: HistoryParts
  /** The least recently read one first. */
  readonly #chains = new Map<string, Chain>()
  /** Fetches under way, and when one that failed may be tried again. */
  readonly #notBeforeMs = new Map<string, number>()

  constructor(parts: HistoryParts) {
    this.#parts = parts
  }

  /**
   * Reads what stands behind the truth, if that is here and was not read yet. With `fetch` it is sent for where it is not
   * here, in the background; whoever waits hears of it by `onRead`.
   */
  async read(dataset: string, truth: Truth, fetch?: AbortSignal): Promise<void> {
    const known = this.#chains.get(dataset)
    if (known?.truth.commit === truth.commit && known.truth.height === truth.height) return
    const links = await this.#links(dataset, truth, known)
    if (links !== undefined) this.#keep(dataset, { truth, links, slices: new Map() })
    else if (fetch !== undefined && truth.commit !== null) this.#fetch(dataset, truth.commit, fetch)
  }

  /** The truth whose results are held; undefined where they are not here. */
  truth(dataset: string): Truth | undefined {
    return this.#chains.get(dataset)?.truth
  }

  /**
   * The results up to `parent`, newest last, of one step where it is named; a sentence where they are not known here. What
   * nobody has certified, such as what a dataset was founded with, has none behind it.
   */
  upTo(dataset: string, parent: string | null, step?: string): Results | string {
    if (parent === null) return NOTHING
    const chain = this.#chains.get(dataset)
    if (chain === undefined) return 'the past results of this dataset are not here yet'
    const { truth, links, slices } = chain
    if (parent === (truth.height === 0 ? truth.commit : foundingOf(chain))) return NOTHING
    const at = links.findIndex(({ oid }) => oid === parent)
    if (at < 0) return 'it does not follow a truth whose past results are here'
    if (at > reliabilityParentsMax && links.length < truth.height)
      return 'it follows a truth that is long past'
    const name = `${parent} ${step ?? ''}`
    const known = slices.get(name)
    if (known !== undefined) return known
    const messages = links.slice(at).map(({ message }) => message)
    const scope = { dataset, height: truth.height - at, ...(step === undefined ? {} : { step }) }
    const results = historyOf(messages, scope)
    slices.set(name, results)
    dropOldest(slices, reliabilityParentsMax)
    return results
  }

  /** Undefined where they are not here. */
  async #links(
    dataset: string,
    { commit, height }: Truth,
    known?: Chain,
  ): Promise<readonly Link[] | undefined> {
    if (commit === null || height === 0) return []
    const repository = await this.#parts.datasets.repository(dataset)
    if (!(await repository.hasCommit(commit))) return undefined
    const read = async (limit: number): Promise<Link[]> => {
      const commits = await repository.log(commit, limit)
      return commits.map(({ oid, message, parents }) => ({ oid, message, parents }))
    }
    try {
      // Most of the time one result was added to those that are held.
      const more = height - (known?.truth.height ?? 0)
      if (known !== undefined && more > 0 && more <= reliabilityParentsMax) {
        const added = await read(more)
        const before = added.at(-1)?.parents[0]
        if (before === known.links[0]?.oid) return [...added, ...known.links].slice(0, READ_MAX)
      }
      return await read(Math.min(height, READ_MAX))
    } catch (error) {
      // A commit alone may be here without what it leads to.
      if (isNodeError(error, 'COMMIT_NOT_FOUND')) return undefined
      throw error
    }
  }

  #keep(dataset: string, chain: Chain): void {
    this.#chains.delete(dataset)
    this.#chains.set(dataset, chain)
    dropOldest(this.#chains, reliabilityDatasetsMax)
    this.#parts.onRead(dataset)
  }

  #fetch(dataset: string, commit: string, signal: AbortSignal): void {
    const { datasets, onRead, clock, log } = this.#parts
    if (clock.now() < (this.#notBeforeMs.get(dataset) ?? 0)) return
    this.#notBeforeMs.set(dataset, Number.MAX_SAFE_INTEGER)
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(candidateFetchTimeoutMs)])
    const fetched = async () => {
      try {
        await datasets.ensureCommit(dataset, commit, { signal: bounded })
        this.#notBeforeMs.delete(dataset)
        onRead(dataset)
      } catch (error) {
        this.#notBeforeMs.set(dataset, clock.now() + candidateRetryMs)
        if (!signal.aborted)
          log.info({ dataset, error: messageOf(error) }, 'past results are not to be had yet')
      }
    }
    void fetched()
  }
}

/** What the dataset was founded with; undefined where there was nothing, or where it is further back than is read. */
function foundingOf({ truth, links }: Chain): string | undefined {
  return links.length === truth.height ? links.at(-1)?.parents[0] : undefined
}

function dropOldest(map: Map<string, unknown>, countMax: number): void {
  for (const name of map.keys()) {
    if (map.size <= countMax) return
    map.delete(name)
  }
}
