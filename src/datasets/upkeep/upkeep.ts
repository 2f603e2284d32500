/** What datasets take of the disk: measured, bounded, packed, checked, and shared between runs. */
import { dirname, join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { type Database, table } from '../../base/database.ts'
import { checkFree } from '../../base/disk-space.ts'
import { NodeError } from '../../base/errors.ts'
import { type Startable, StopStack } from '../../base/lifecycle.ts'
import { verifyTimeoutMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { Registry } from '../../registry/registry.ts'
import type { DatasetEvent } from '../dataset-events.ts'
import type { DatasetView } from '../dataset-view.ts'
import type { GarbageOptions, GarbageResult, Repository } from '../git/repository.ts'
import type { DatasetsSettings } from '../settings.ts'
import type { Guard } from '../shelf.ts'
import { Accounts } from './accounts.ts'
import { Checkouts } from './checkouts.ts'
import { type Collected, Collector } from './collector.ts'
import { guarded } from './guarded-repository.ts'
import { namedCommits } from './named-commits.ts'
import { type Bound, roomLeft } from './room-left.ts'
import { type DatasetVerification, verifyDataset } from './verify.ts'

export interface UpkeepParts {
  /** Of the repositories; trees for runs lie beside it. */
  readonly directory: string
  readonly self: string
  readonly settings: DatasetsSettings
  readonly database: Database
  readonly registry: Pick<Registry, 'list' | 'claims'>
  /** @throws NodeError DATASET_NOT_FOUND */
  readonly repository: (dataset: string) => Promise<Repository>
  /** The same, or undefined where this node has no copy. @throws NodeError DATASET_NOT_FOUND */
  readonly copy: (dataset: string) => Promise<Repository | undefined>
  readonly show: (dataset: string) => Promise<DatasetView>
  readonly truth: (dataset: string) => Promise<string | undefined>
  /** Where the branches of a copy are, as far as it has been opened. */
  readonly branches: (dataset: string) => ReadonlyMap<string, string>
  /** Commits of a dataset that the runs of this node name. */
  readonly commitsOfRuns: (dataset: string) => readonly string[]
  /** Hears that a check has found objects missing that are needed. */
  readonly onMissing: (dataset: string) => void
  readonly emit: (event: DatasetEvent) => void
  readonly clock: Clock
  readonly log: Logger
}

/** What one dataset takes and may take. */
export interface DatasetUsage {
  readonly bytes: number
  readonly objects: number
  /** Absent where there is no bound. */
  readonly quotaBytes?: number
  /** Which bound keeps anything more from coming in. */
  readonly full?: Bound
  readonly collected?: Collected
}

export class Upkeep implements Startable {
  readonly checkouts: Checkouts
  readonly #parts: UpkeepParts
  readonly #accounts: Accounts
  readonly #collector: Collector
  readonly #running = new StopStack()

  constructor(parts: UpkeepParts) {
    const { directory, settings, self, database, repository, registry, emit, clock, log } = parts
    this.#parts = parts
    this.#accounts = new Accounts({ directory, settings, emit })
    this.checkouts = new Checkouts({
      directory: join(dirname(directory), 'checkouts'),
      repository,
      bytesMax: settings.checkoutBytesMax,
      reserveBytes: settings.freeBytesMin,
      clock,
      log,
    })
    this.#collector = new Collector({
      accounts: this.#accounts,
      table: table(database, 'dataset-collections'),
      collect: (dataset, options) => this.#collect(dataset, options),
      keeps: async (dataset) => [
        ...new Set([...namedCommits(registry, dataset), ...parts.commitsOfRuns(dataset)]),
      ],
      intervalMs: settings.gcIntervalMs,
      pruneAfterMs: settings.pruneAfterMs,
      ...{ self, emit, clock, log },
    })
  }

  /** Disk space that is left to the node (setting datasets.freeBytesMin). */
  get freeBytesMin(): number {
    return this.#parts.settings.freeBytesMin
  }

  async start(): Promise<void> {
    await this.#running.start('checkouts', this.checkouts)
    await this.#running.start('collector', this.#collector)
  }

  async stop(): Promise<void> {
    await this.#running.unwind()
  }

  /** Every repository that is opened passes it (Shelf). */
  readonly guard: Guard = (dataset, repository) =>
    guarded(dataset, repository, {
      accounts: this.#accounts,
      ingested: (name) => this.#collector.ingested(name),
    })

  /**
   * Packs a dataset and drops what nothing has led to for long enough (setting datasets.pruneAfterMs).
   *
   * @throws NodeError DATASET_NOT_FOUND, NOT_FOUND (no copy is here), CANCELLED, TIMED_OUT, DISK_FULL, QUEUE_FULL.
   */
  async collect(dataset: string): Promise<Collected> {
    await this.#held(dataset)
    return this.#collector.collect(dataset)
  }

  /** @throws NodeError DATASET_NOT_FOUND, NOT_FOUND (no copy is here), TIMED_OUT. */
  async verify(dataset: string, options: { signal?: AbortSignal } = {}): Promise<DatasetVerification> {
    const { show, truth } = this.#parts
    const late = AbortSignal.timeout(verifyTimeoutMs)
    const signal = options.signal === undefined ? late : AbortSignal.any([options.signal, late])
    try {
      const repository = await this.#held(dataset)
      const { branches } = await show(dataset)
      const held = () => this.#parts.branches(dataset)
      const found = await verifyDataset(
        dataset,
        { repository, branches, held, truth: await truth(dataset) },
        signal,
      )
      if (found.problems.some(({ code }) => code === 'MISSING')) this.#parts.onMissing(dataset)
      return found
    } catch (error) {
      if (!late.aborted) throw error
      const message = `The dataset ${dataset} was not checked within ${verifyTimeoutMs} ms`
      throw new NodeError('TIMED_OUT', message, { dataset }, { cause: error })
    }
  }

  /** @throws NodeError DATASET_NOT_FOUND */
  async usage(dataset: string): Promise<DatasetUsage> {
    await this.#parts.copy(dataset)
    const usage = await this.#accounts.usage(dataset)
    const size = await this.#accounts.size(dataset)
    const { bytes: left, bound } = roomLeft(usage)
    const collected = this.#collector.last(dataset)
    return {
      bytes: usage.bytes,
      objects: size?.objects ?? 0,
      ...(usage.quotaBytes > 0 ? { quotaBytes: usage.quotaBytes } : {}),
      ...(left === 0 ? { full: bound } : {}),
      ...(collected === undefined ? {} : { collected }),
    }
  }

  /** What each dataset takes, as far as it was measured, the largest first; measures nothing. */
  measured(): { dataset: string; bytes: number }[] {
    const found = this.#accounts.datasets().flatMap((dataset) => {
      const size = this.#accounts.known(dataset)
      return size === undefined ? [] : [{ dataset, bytes: size.bytes }]
    })
    return found.sort((a, b) => b.bytes - a.bytes)
  }

  /** When the last collection of any dataset ended, ms since the epoch; undefined before the first. */
  lastCollectedMs(): number | undefined {
    const times = this.#accounts.datasets().map((dataset) => this.#collector.last(dataset)?.lastMs ?? 0)
    const lastMs = Math.max(0, ...times)
    return lastMs === 0 ? undefined : lastMs
  }

  /** A dataset's copy is about to be removed: no collection works in it when this returns. */
  async leave(dataset: string): Promise<void> {
    await this.#collector.leave(dataset)
  }

  /** A dataset's copy is gone. */
  async forget(dataset: string): Promise<void> {
    this.#accounts.close(dataset)
    await this.#collector.forget(dataset)
  }

  async #held(dataset: string): Promise<Repository> {
    const repository = await this.#parts.copy(dataset)
    if (repository !== undefined) return repository
    const { policy, livesAt } = await this.#parts.show(dataset)
    const wayOut =
      policy === 'shared'
        ? `"maoctl dataset fetch ${dataset}" brings one`
        : `it is ${policy}, and its objects stay at ${livesAt ?? 'the node that founded it'}`
    const message = `This node has no copy of ${dataset}; ${wayOut}`
    throw new NodeError('NOT_FOUND', message, { dataset })
  }

  async #collect(dataset: string, options: GarbageOptions): Promise<GarbageResult> {
    const repository = await this.#held(dataset)
    // What is packed stands beside what it was packed from until it is whole.
    const { bytes = 0 } = (await this.#accounts.size(dataset)) ?? {}
    await checkFree({ place: repository.path, reserveBytes: 0, wantedBytes: bytes })
    return repository.collectGarbage(options)
  }
}
