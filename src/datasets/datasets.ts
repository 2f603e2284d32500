/**
 * The datasets of one node: bare git repositories on its disk, records of them in the registry, and the members' heads
 * that keep the one in step with the other (protocols/dataset-fetch.md).
 */
import { mkdir } from 'node:fs/promises'
import type { Clock } from '../base/clock.ts'
import type { Database } from '../base/database.ts'
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import { type Startable, StopStack } from '../base/lifecycle.ts'
import type { Logger } from '../base/logger.ts'
import { parseName } from '../base/names.ts'
import type { Members } from '../federation/members.ts'
import type { Streams } from '../network/network.ts'
import { Collection } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import { branchOf } from './branches.ts'
import type { DatasetEvent } from './dataset-events.ts'
import { DATASET_PREFIX, datasetSchema, type SharedRecord } from './dataset-record.ts'
import { type DatasetView, viewOf } from './dataset-view.ts'
import { PackServer } from './exchange/pack-server.ts'
import { receiveBundle } from './founding/bundle.ts'
import { TRUTH_BRANCH } from './git/git-directory.ts'
import type { CommitInfo, GitBackend, PackRepository, Quarantine, Repository } from './git/repository.ts'
import { GroundTruths } from './ground-truths.ts'
import { type HeadRecord, headSchema } from './heads.ts'
import {
  type Adoption,
  type CommittedDirectory,
  type DirectoryCommit,
  OwnBranches,
  type OwnMove,
} from './own-branches.ts'
import type { Policy } from './policies.ts'
import { StockGit } from './push/stock-git.ts'
import { Replicator } from './replicator.ts'
import type { DatasetsSettings } from './settings.ts'
import { type BackendChoice, chooseBackend, Shelf } from './shelf.ts'
import { Upkeep } from './upkeep/upkeep.ts'
import { type UpstreamSettings, Upstreams } from './upstream/upstreams.ts'

export interface DatasetsParts {
  /** Where the repositories lie, as `<name>.git`. */
  readonly directory: string
  readonly backend: BackendChoice
  readonly settings: DatasetsSettings
  readonly upstreams: UpstreamSettings
  readonly database: Database
  readonly registry: Pick<Registry, 'get' | 'list' | 'claims' | 'put' | 'delete' | 'watch'>
  readonly members: Pick<Members, 'get' | 'list' | 'self' | 'isMember' | 'onChange'>
  readonly streams: Streams
  /** Hears of each peer that becomes connected (`Network.onConnect`). */
  readonly onConnect: (connected: (peer: string) => void) => () => void
  /** Commits of a dataset that runs name: they are kept. */
  readonly commitsOfRuns?: (dataset: string) => readonly string[]
  readonly clock: Clock
  readonly log: Logger
}

/** What whoever founds a dataset may say of it. */
export interface Founding {
  readonly description?: string
  /** `shared` by default. */
  readonly policy?: Policy
  /** How many members beside this one are to keep a copy; every one by default. */
  readonly replicas?: number
}

const IMPORT_STEP = 'import'

interface Rooms {
  readonly shelf: Shelf
  readonly replicator: Replicator
  readonly own: OwnBranches
  readonly truths: GroundTruths
  readonly upkeep: Upkeep
  readonly stockGit: StockGit
  readonly upstreams: Upstreams
}

export class Datasets implements Startable {
  readonly #parts: DatasetsParts
  readonly #log: Logger
  readonly #records: Collection<SharedRecord>
  readonly #heads: Collection<HeadRecord>
  readonly #listeners = new Set<(event: DatasetEvent) => void>()
  #rooms: Rooms | undefined
  #running: StopStack | undefined

  constructor(parts: DatasetsParts) {
    this.#parts = parts
    this.#log = parts.log.child({ room: 'datasets' })
    const { registry } = parts
    this.#records = new Collection({
      registry,
      prefix: DATASET_PREFIX,
      schema: datasetSchema,
      log: this.#log,
    })
    this.#heads = new Collection({ registry, prefix: '/heads/', schema: headSchema, log: this.#log })
  }

  /** @throws NodeError INVALID_CONFIG when the git program is asked for and not there. */
  async start(): Promise<void> {
    if (this.#running !== undefined) return
    const running = new StopStack()
    this.#running = running
    try {
      await this.#start(running)
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    await running?.unwind()
    this.#rooms = undefined
  }

  /** Which way git is done here. */
  get backend(): GitBackend['kind'] {
    return this.#inside.shelf.backend
  }

  /** Disk space, and what is done to keep it. */
  get upkeep(): Upkeep {
    return this.#inside.upkeep
  }

  /** Clones, fetches and pushes of git clients. */
  get stockGit(): StockGit {
    return this.#inside.stockGit
  }

  /** Git repositories elsewhere. */
  get upstreams(): Upstreams {
    return this.#inside.upstreams
  }

  /** Founds an empty dataset. @throws NodeError INVALID_NAME, ALREADY_EXISTS. */
  async add(name: string, { description = '' }: Founding = {}): Promise<DatasetView> {
    this.#checkNew(name)
    await this.#inside.shelf.open(name)
    const createdBy = this.#parts.members.self().name
    await this.#records.put(name, { description, policy: 'shared', createdBy })
    return this.show(name)
  }

  /**
   * Founds a dataset with what a directory holds, committed on this node's branch `import-<node>`.
   *
   * @throws NodeError INVALID_NAME, ALREADY_EXISTS, PATH_UNSAFE, INVALID_INPUT (no such directory).
   */
  async importDirectory(
    name: string,
    directory: string,
    { description = '' }: Founding = {},
  ): Promise<DatasetView> {
    this.#checkNew(name)
    const createdBy = this.#parts.members.self().name
    const message = `Import ${name}\n\nDataset: ${name}\nImported-By: ${createdBy}\n`
    const { commit } = await this.#inside.own.commit({ dataset: name, step: IMPORT_STEP, directory, message })
    // Last, so that a dataset exists only when its beginning does.
    await this.#records.put(name, { description, policy: 'shared', initial: commit, createdBy })
    await this.#inside.truths.settle(name)
    return this.show(name)
  }

  /**
   * Founds a dataset with the history that a git bundle holds, on this node's branch `import-<node>`.
   *
   * @throws NodeError INVALID_NAME, ALREADY_EXISTS, INVALID_INPUT when the bundle does not hold, PATH_UNSAFE.
   */
  async importBundle(
    name: string,
    bundle: AsyncIterable<Uint8Array>,
    { description = '', signal = new AbortController().signal }: Founding & { signal?: AbortSignal } = {},
  ): Promise<DatasetView> {
    this.#checkNew(name)
    const { shelf, own, truths } = this.#inside
    const createdBy = this.#parts.members.self().name
    const { commit } = await receiveBundle(await shelf.open(name), bundle, signal)
    const branch = branchOf(IMPORT_STEP, createdBy)
    // An import that a crash has cut off after this line is taken up again by the next one.
    await own.adopt({ dataset: name, branch, commit, from: shelf.branches(name).get(branch) })
    await this.#records.put(name, { description, policy: 'shared', initial: commit, createdBy })
    await truths.settle(name)
    return this.show(name)
  }

  /** Sorted by name. */
  list(): DatasetView[] {
    return this.#records.list().map(({ name, value }) => this.#view(name, value))
  }

  /** @throws NodeError DATASET_NOT_FOUND */
  async show(name: string): Promise<DatasetView> {
    await this.repository(name)
    return this.#view(name, this.#record(name))
  }

  /** The commits of a branch, newest first; none while nothing was agreed. @throws NodeError DATASET_NOT_FOUND, NOT_FOUND. */
  async log(name: string, branch: string = TRUTH_BRANCH, limit = 50): Promise<CommitInfo[]> {
    const repository = await this.repository(name)
    const commit = branch === TRUTH_BRANCH ? await this.truth(name) : await repository.resolve(branch)
    if (commit !== undefined) return repository.log(commit, limit)
    if (branch === TRUTH_BRANCH) return []
    throw new NodeError('NOT_FOUND', `The dataset ${name} has no branch ${branch} here`, { name, branch })
  }

  /** @throws NodeError DATASET_NOT_FOUND */
  async repository(name: string): Promise<Repository> {
    return this.#repository(name)
  }

  /** The agreed commit, else what the dataset was founded with. @throws NodeError DATASET_NOT_FOUND */
  async truth(name: string): Promise<string | undefined> {
    this.#record(name)
    return this.#inside.truths.get(name)
  }

  /**
   * Commits what a directory holds onto this node's own branch `<step>-<node>` and announces it.
   *
   * @throws NodeError DATASET_NOT_FOUND, PATH_UNSAFE, INVALID_NAME, CONFLICT.
   */
  async commitDirectory(request: DirectoryCommit): Promise<CommittedDirectory> {
    this.#record(request.dataset)
    return this.#inside.own.commit(request)
  }

  /**
   * Puts a commit that is here already on a branch of this node and announces it.
   *
   * @throws NodeError DATASET_NOT_FOUND, FORBIDDEN, CONFLICT, NOT_FAST_FORWARD, COMMIT_NOT_FOUND.
   */
  async adoptCommit(request: Adoption): Promise<void> {
    this.#record(request.dataset)
    await this.#inside.own.adopt(request)
  }

  /** A place for objects that are brought to a dataset, until they are proven. @throws NodeError DATASET_NOT_FOUND */
  async quarantine(name: string): Promise<Quarantine> {
    this.#record(name)
    return (await this.#inside.shelf.open(name)).quarantine()
  }

  /**
   * Makes sure that a commit with all it needs is here.
   *
   * @throws NodeError DATASET_NOT_FOUND, PEER_UNREACHABLE when nobody who is connected has it, TIMED_OUT when the signal
   * came first.
   */
  async ensureCommit(dataset: string, commit: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    if (await (await this.repository(dataset)).hasCommit(commit)) return
    const author = this.#announcerOf(dataset, commit)
    try {
      await this.#inside.replicator.fetch(dataset, [commit], {
        urgent: true,
        ...(author === undefined ? {} : { author }),
        ...options,
      })
    } catch (cause) {
      if (options.signal?.aborted === true) {
        const message = `The commit ${commit} of ${dataset} did not arrive in time`
        throw new NodeError('TIMED_OUT', message, { dataset, commit }, { cause })
      }
      if (isNodeError(cause, 'PATH_UNSAFE') || isNodeError(cause, 'PACK_REJECTED')) throw cause
      const message = `No member that is connected could give the commit ${commit} of ${dataset}: ${messageOf(cause)}`
      throw new NodeError('PEER_UNREACHABLE', message, { dataset, commit }, { cause })
    }
  }

  /**
   * Moves the ground truth; only for who holds the certificate that proves it.
   *
   * @throws NodeError DATASET_NOT_FOUND, COMMIT_NOT_FOUND when the commit is not here yet.
   */
  async moveTruth(dataset: string, commit: string): Promise<void> {
    this.#record(dataset)
    await this.#inside.truths.move(dataset, commit)
  }

  /** Hears of what happens to the datasets. @returns how to stop hearing. */
  onEvent(listener: (event: DatasetEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #start(running: StopStack): Promise<void> {
    const { directory, backend, settings, database, registry, members, streams, onConnect, clock } =
      this.#parts
    const { commitsOfRuns } = this.#parts
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const [heads, records, log, self] = [this.#heads, this.#records, this.#log, streams.peerId]
    const emit = (event: DatasetEvent) => this.#emit(event)
    const upkeep = new Upkeep({
      ...{ directory, self, settings, database, registry, emit, clock, log },
      repository: (name) => this.repository(name),
      show: (name) => this.show(name),
      truth: (name) => this.truth(name),
      commitsOfRuns: commitsOfRuns ?? (() => []),
    })
    const shelf = new Shelf(directory, await chooseBackend(backend), upkeep.guard)
    running.push('repositories', () => shelf.close())
    await shelf.tidy()
    const replicator = new Replicator({ self, streams, onConnect, members, heads, records, shelf, emit, log })
    const own = new OwnBranches({ self, members, heads, shelf, replicator, clock })
    running.push('own branches', () => own.idle())
    const truths = new GroundTruths({ registry, records, shelf, emit, log })
    running.push('truths', () => truths.stop())
    const quarantine = (name: string) => this.quarantine(name)
    const adopt = (name: string, moves: readonly OwnMove[]) => own.adoptAll(name, moves)
    const packs = (name: string) => this.#repository(name)
    const stockGit = new StockGit({ repository: packs, quarantine, adopt, members, log })
    const upstreams = new Upstreams({
      ...{ self, members, records, shelf, truths, database, emit, clock, log },
      settings: this.#parts.upstreams,
      policyOf: (name) => this.#record(name).policy,
      adopt: (adoption) => own.adopt(adoption),
    })
    this.#rooms = { shelf, replicator, own, truths, upkeep, stockGit, upstreams }
    await running.start('upkeep', upkeep)
    for (const { name } of records.list()) await this.#reopen(name, this.#rooms)
    const mayRead = (peer: string, dataset: string) =>
      members.isMember(peer) && records.get(dataset)?.value.policy === 'shared'
    const server = new PackServer({ streams, mayRead, repository: (name) => shelf.open(name), log })
    running.push(
      'records',
      records.watch((name) => truths.settleSoon(name)),
    )
    await running.start('pack server', server)
    await running.start('replicator', replicator)
    await running.start('upstreams', upstreams)
  }

  /** One repository that does not open must not keep the node from its other work. */
  async #reopen(name: string, { truths, own }: Rooms): Promise<void> {
    try {
      await truths.settle(name)
      await own.reconcile(name)
    } catch (error) {
      this.#log.error({ dataset: name, error: messageOf(error) }, 'a dataset could not be opened')
    }
  }

  async #repository(name: string): Promise<PackRepository> {
    this.#record(name)
    return this.#inside.shelf.open(name)
  }

  get #inside(): Rooms {
    if (this.#rooms === undefined) throw new NodeError('INTERNAL', 'The datasets have not been started')
    return this.#rooms
  }

  #record(name: string): SharedRecord {
    const item = this.#records.get(name)
    if (item === undefined) throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${name}`, { name })
    return item.value
  }

  #checkNew(name: string): void {
    parseName('dataset', name)
    if (this.#records.get(name) === undefined) return
    throw new NodeError('ALREADY_EXISTS', `There is a dataset named ${name} already`, { name })
  }

  #view(name: string, record: SharedRecord): DatasetView {
    const held = this.#rooms?.shelf.branches(name) ?? new Map<string, string>()
    const heads = this.#heads.list(`${name}/`)
    const replicas = { actual: 0, current: 0, members: [] }
    const { policy, createdBy: owner } = record
    const follows = { followed: true, why: 'follows all', replicas, ignored: [], equivocations: [] }
    return viewOf(name, { record, policy, owner, heads, held, members: this.#parts.members, ...follows })
  }

  #announcerOf(dataset: string, commit: string): string | undefined {
    const item = this.#heads
      .list(`${dataset}/`)
      .find(({ value }) => Object.values(value.branches).includes(commit))
    return item?.entry.author
  }

  #emit(event: DatasetEvent): void {
    // The founding commit may just have arrived.
    if (event.type === 'replicated') this.#rooms?.truths.settleSoon(event.dataset)
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch (error) {
        // What has happened has happened: a listener's defect must not look like a failed fetch.
        this.#log.error({ event: event.type, error: messageOf(error) }, 'a listener to datasets failed')
      }
    }
  }
}
