/**
 * The datasets of one node: bare git repositories on its disk, records of them in the registry, and the members' heads
 * that keep the one in step with the other (protocols/dataset-fetch.md).
 */
import { mkdir } from 'node:fs/promises'
import type { Clock } from '../base/clock.ts'
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import { type Startable, StopStack } from '../base/lifecycle.ts'
import { storeQueueMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { parseName } from '../base/names.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import type { Members } from '../federation/members.ts'
import type { Streams } from '../network/network.ts'
import { Collection, decodeJson } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import { ownerOfBranch } from './branches.ts'
import type { DatasetEvent } from './dataset-events.ts'
import { type DatasetRecord, datasetSchema, initialTruth } from './dataset-record.ts'
import { PackServer } from './exchange/pack-server.ts'
import { TRUTH_BRANCH } from './git/git-directory.ts'
import type { CommitInfo, GitBackend, Repository } from './git/repository.ts'
import { foreignBranches, type HeadRecord, headSchema } from './heads.ts'
import { type CommittedDirectory, type DirectoryCommit, OwnBranches } from './own-branches.ts'
import { Replicator } from './replicator.ts'
import { type BackendChoice, chooseBackend, Shelf } from './shelf.ts'

export interface DatasetsParts {
  /** Where the repositories lie, as `<name>.git`. */
  readonly directory: string
  readonly backend: BackendChoice
  readonly registry: Pick<Registry, 'get' | 'list' | 'claims' | 'put' | 'delete' | 'watch'>
  readonly members: Pick<Members, 'get' | 'list' | 'self' | 'isMember' | 'onChange'>
  readonly streams: Streams
  /** Hears of each peer that becomes connected (`Network.onConnect`). */
  readonly onConnect: (connected: (peer: string) => void) => () => void
  readonly clock: Clock
  readonly log: Logger
}

export interface BranchView {
  readonly branch: string
  readonly commit: string
  /** Name of the member that owns the branch. */
  readonly member: string
  /** False for a branch that is only here. */
  readonly announced: boolean
  /** Whether this node holds the commit on that branch. */
  readonly present: boolean
}

export interface DatasetView {
  readonly name: string
  readonly description: string
  readonly policy: DatasetRecord['policy']
  readonly createdBy: string
  /** The agreed commit, or what the dataset was founded with. */
  readonly truth?: string
  /** Whether all that was announced is here. */
  readonly replicated: boolean
  readonly branches: readonly BranchView[]
}

const PREFIX = '/dataset/'
const IMPORT_STEP = 'import'

interface Rooms {
  readonly shelf: Shelf
  readonly replicator: Replicator
  readonly own: OwnBranches
}

export class Datasets implements Startable {
  readonly #parts: DatasetsParts
  readonly #log: Logger
  readonly #records: Collection<DatasetRecord>
  readonly #heads: Collection<HeadRecord>
  readonly #listeners = new Set<(event: DatasetEvent) => void>()
  /** Whoever moves a ground truth looks at it first. */
  readonly #truths = new SerialQueue(storeQueueMax)
  #rooms: Rooms | undefined
  #running: StopStack | undefined

  constructor(parts: DatasetsParts) {
    this.#parts = parts
    this.#log = parts.log.child({ room: 'datasets' })
    const { registry } = parts
    this.#records = new Collection({ registry, prefix: PREFIX, schema: datasetSchema, log: this.#log })
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

  /** Founds an empty dataset. @throws NodeError INVALID_NAME, ALREADY_EXISTS. */
  async add(name: string, description = ''): Promise<DatasetView> {
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
  async importDirectory(name: string, directory: string, description = ''): Promise<DatasetView> {
    this.#checkNew(name)
    const createdBy = this.#parts.members.self().name
    const message = `Import ${name}\n\nDataset: ${name}\nImported-By: ${createdBy}\n`
    const { commit } = await this.#inside.own.commit({ dataset: name, step: IMPORT_STEP, directory, message })
    // Last, so that a dataset exists only when its beginning does.
    await this.#records.put(name, { description, policy: 'shared', initial: commit, createdBy })
    await this.#settle(name)
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
    this.#record(name)
    return this.#inside.shelf.open(name)
  }

  /** The agreed commit, else what the dataset was founded with. @throws NodeError DATASET_NOT_FOUND */
  async truth(name: string): Promise<string | undefined> {
    const { initial } = this.#record(name)
    await this.#inside.shelf.open(name)
    return this.#inside.shelf.branches(name).get(TRUTH_BRANCH) ?? initial
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
    await this.repository(dataset)
    const { shelf } = this.#inside
    const moved = await this.#truths.run(async () => {
      const held = shelf.branches(dataset).get(TRUTH_BRANCH)
      if (held === commit) return false
      await shelf.move(dataset, TRUTH_BRANCH, commit, held)
      return true
    })
    if (moved) this.#emit({ type: 'truth', dataset, commit })
  }

  /** Hears of what happens to the datasets. @returns how to stop hearing. */
  onEvent(listener: (event: DatasetEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #start(running: StopStack): Promise<void> {
    const { directory, backend, members, streams, onConnect, clock } = this.#parts
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const shelf = new Shelf(directory, await chooseBackend(backend))
    running.push('repositories', () => shelf.close())
    await shelf.tidy()
    const [heads, records, log, self] = [this.#heads, this.#records, this.#log, streams.peerId]
    const emit = (event: DatasetEvent) => this.#emit(event)
    const replicator = new Replicator({ self, streams, onConnect, members, heads, records, shelf, emit, log })
    const own = new OwnBranches({ self, members, heads, shelf, replicator, clock })
    running.push('own branches', () => own.idle())
    this.#rooms = { shelf, replicator, own }
    for (const { name } of records.list()) await this.#reopen(name, own)
    const mayRead = (peer: string, dataset: string) =>
      members.isMember(peer) && records.get(dataset)?.value.policy === 'shared'
    const server = new PackServer({ streams, mayRead, repository: (name) => shelf.open(name), log })
    running.push('truths', () => this.#truths.idle())
    running.push(
      'records',
      records.watch((name) => this.#settleSoon(name)),
    )
    await running.start('pack server', server)
    await running.start('replicator', replicator)
  }

  /** One repository that does not open must not keep the node from its other work. */
  async #reopen(name: string, own: OwnBranches): Promise<void> {
    try {
      await this.#settle(name)
      await own.reconcile(name)
    } catch (error) {
      this.#log.error({ dataset: name, error: messageOf(error) }, 'a dataset could not be opened')
    }
  }

  get #inside(): Rooms {
    if (this.#rooms === undefined) throw new NodeError('INTERNAL', 'The datasets have not been started')
    return this.#rooms
  }

  #record(name: string): DatasetRecord {
    const item = this.#records.get(name)
    if (item === undefined) throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${name}`, { name })
    return item.value
  }

  #checkNew(name: string): void {
    parseName('dataset', name)
    if (this.#records.get(name) === undefined) return
    throw new NodeError('ALREADY_EXISTS', `There is a dataset named ${name} already`, { name })
  }

  #view(name: string, record: DatasetRecord): DatasetView {
    const { members } = this.#parts
    const held = this.#rooms?.shelf.branches(name) ?? new Map<string, string>()
    const names = members.list().map((member) => member.name)
    const views = new Map<string, BranchView>()
    for (const { name: key, value } of this.#heads.list(`${name}/`)) {
      const peer = key.slice(name.length + 1)
      const member = members.get(peer)?.name ?? peer
      const foreign = members.isMember(peer) ? foreignBranches(value, member, names) : []
      for (const [branch, commit] of Object.entries(value.branches)) {
        // What is another's to move is followed nowhere, so it does not count as missing.
        if (foreign.includes(branch)) continue
        views.set(branch, { branch, commit, member, announced: true, present: held.get(branch) === commit })
      }
    }
    for (const [branch, commit] of held) {
      if (branch === TRUTH_BRANCH || views.has(branch)) continue
      const member = ownerOfBranch(branch, names) ?? ''
      views.set(branch, { branch, commit, member, announced: false, present: true })
    }
    const branches = [...views.values()].sort((a, b) => (a.branch < b.branch ? -1 : 1))
    const truth = held.get(TRUTH_BRANCH) ?? record.initial
    const { description, policy, createdBy } = record
    const replicated = branches.every((branch) => branch.present)
    return {
      name,
      description,
      policy,
      createdBy,
      ...(truth === undefined ? {} : { truth }),
      replicated,
      branches,
    }
  }

  #announcerOf(dataset: string, commit: string): string | undefined {
    const item = this.#heads
      .list(`${dataset}/`)
      .find(({ value }) => Object.values(value.branches).includes(commit))
    return item?.entry.author
  }

  #settleSoon(name: string): void {
    this.#settle(name).catch((error: unknown) => {
      if (this.#running === undefined) return
      this.#log.warn({ dataset: name, error: messageOf(error) }, 'a dataset could not be prepared')
    })
  }

  /** Opens the repository of a dataset, and sets its truth to its beginning while nothing else was agreed. */
  #settle(name: string): Promise<void> {
    return this.#truths.run(async () => {
      if (this.#rooms === undefined || this.#records.get(name) === undefined) return
      const { shelf } = this.#rooms
      const repository = await shelf.open(name)
      const claims = this.#parts.registry.claims(PREFIX + name)
      const initials = claims.map(({ value }) => datasetSchema.safeParse(decodeJson(value)).data?.initial)
      const held = shelf.branches(name).get(TRUTH_BRANCH)
      const initial = initialTruth(held, initials)
      if (initial !== undefined && (await repository.hasCommit(initial))) {
        await shelf.move(name, TRUTH_BRANCH, initial, held)
      }
    })
  }

  #emit(event: DatasetEvent): void {
    // The founding commit may just have arrived.
    if (event.type === 'replicated') this.#settleSoon(event.dataset)
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
