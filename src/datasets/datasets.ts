/**
 * The datasets of one node: bare git repositories on its disk, records of them in the registry, and the members' heads
 * that keep the one in step with the other (protocols/dataset-heads.md, protocols/dataset-fetch.md). The rooms behind
 * this door are put together in dataset-rooms.ts.
 */
import { messageOf, NodeError } from '../base/errors.ts'
import { type Startable, StopStack } from '../base/lifecycle.ts'
import type { Logger } from '../base/logger.ts'
import { Collection } from '../registry/collection.ts'
import { branchOf } from './branches.ts'
import type { CertificateBranches } from './certificate-branches.ts'
import type { DatasetEvent } from './dataset-events.ts'
import { DATASET_PREFIX, datasetSchema } from './dataset-record.ts'
import { type DatasetsParts, type Rooms, startRooms } from './dataset-rooms.ts'
import type { DatasetView } from './dataset-view.ts'
import type { DatasetChange, Founding } from './foundings.ts'
import { TRUTH_BRANCH } from './git/git-directory.ts'
import type { CommitInfo, GitBackend, PackRepository, Quarantine, Repository } from './git/repository.ts'
import { headSchema, type Reset } from './heads.ts'
import { type Known, KnownDatasets } from './known-datasets.ts'
import type { Adoption, CommittedDirectory, DirectoryCommit, ResetRequest } from './own-branch-requests.ts'
import type { StockGit } from './push/stock-git.ts'
import type { LocalCopy } from './removals.ts'
import { REPLICAS_PREFIX, replicaSchema } from './replicas.ts'
import type { Upkeep } from './upkeep/upkeep.ts'
import type { Upstreams } from './upstream/upstreams.ts'

export type { DatasetsParts } from './dataset-rooms.ts'
export type { DatasetChange, Founding } from './foundings.ts'
export type { ResetRequest } from './own-branch-requests.ts'
export type { LocalCopy } from './removals.ts'

export interface FetchOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (event: DatasetEvent) => void
  readonly onFailure?: (member: string, error: unknown) => void
}

export class Datasets implements Startable {
  readonly #parts: DatasetsParts
  readonly #log: Logger
  readonly #known: KnownDatasets
  readonly #listeners = new Set<(event: DatasetEvent) => void>()
  readonly #start: (running: StopStack) => Promise<void>
  #rooms: Rooms | undefined
  #running: StopStack | undefined

  constructor(parts: DatasetsParts) {
    this.#parts = parts
    this.#log = parts.log.child({ room: 'datasets' })
    const { registry, database, streams, clock } = parts
    const [log, self] = [this.#log, streams.peerId]
    const records = new Collection({ registry, prefix: DATASET_PREFIX, schema: datasetSchema, log })
    const heads = new Collection({ registry, prefix: '/heads/', schema: headSchema, log })
    const replicas = new Collection({ registry, prefix: REPLICAS_PREFIX, schema: replicaSchema, log })
    const isOperator = (peer: string) => parts.members.get(peer)?.role === 'operator'
    const presentOf = (peer: string) => parts.members.presentOf?.(peer) ?? peer
    this.#known = new KnownDatasets({ self, database, registry, records, isOperator, presentOf, clock })
    const asked = {
      show: (name: string) => this.show(name),
      truth: (name: string) => this.truth(name),
      repository: (name: string) => this.#repository(name),
      quarantine: (name: string) => this.quarantine(name),
    }
    const emit = (event: DatasetEvent) => this.#emit(event)
    const shared = { ...parts, log, heads, replicas, known: this.#known, asked, emit }
    this.#start = (running) =>
      startRooms(shared, running, (rooms) => {
        this.#rooms = rooms
      })
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

  /** Whether a member may have a shared dataset, by what is granted. */
  mayRead(peer: string, name: string): boolean {
    return this.#parts.access?.mayRead(peer, name, this.find(name)) !== false
  }

  /** Hears of each dataset that may be had by others than before. @returns how to stop hearing. */
  onAccess(heard: (name: string) => void): () => void {
    return this.#parts.access?.onChange(heard) ?? (() => undefined)
  }

  /** Disk space, and what is done to keep it. */
  get upkeep(): Upkeep {
    return this.#inside.upkeep
  }

  /** The branches that prove the ground truths. */
  get certificates(): CertificateBranches {
    return this.#inside.certificates
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
  async add(name: string, founding: Founding = {}): Promise<DatasetView> {
    await this.#inside.foundings.add(name, founding)
    return this.show(name)
  }

  /**
   * Founds a dataset with what a directory holds, committed on this node's branch `import-<node>`.
   *
   * @throws NodeError INVALID_NAME, ALREADY_EXISTS, PATH_UNSAFE, INVALID_INPUT (no such directory).
   */
  async importDirectory(name: string, directory: string, founding: Founding = {}): Promise<DatasetView> {
    await this.#inside.foundings.importDirectory(name, directory, founding)
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
    { signal = new AbortController().signal, ...founding }: Founding & { signal?: AbortSignal } = {},
  ): Promise<DatasetView> {
    await this.#inside.foundings.importBundle(name, bundle, founding, signal)
    return this.show(name)
  }

  /** Changes what is said of a dataset. @throws NodeError DATASET_NOT_FOUND, CONFLICT (another member's claim). */
  async edit(name: string, change: DatasetChange): Promise<DatasetView> {
    await this.#inside.foundings.edit(name, change)
    return this.show(name)
  }

  /** Ends a dataset for everybody; copies stay where they are. @throws NodeError DATASET_NOT_FOUND, FORBIDDEN. */
  remove(name: string): Promise<void> {
    return this.#inside.removals.remove(name)
  }

  /**
   * Deletes this node's copies of a dataset, and copies it no more.
   *
   * @throws NodeError NOT_FOUND, CONFLICT when it is in use, or, unless forced, when no other member holds all of it.
   */
  removeLocal(name: string, options: { readonly force?: boolean } = {}): Promise<void> {
    return this.#inside.removals.removeLocal(name, options)
  }

  /** Sorted by name. */
  list(): DatasetView[] {
    return this.#known.list().map((known) => this.#inside.showing.view(known))
  }

  /** The copies on this node's disk, those of datasets that are no more included. */
  listLocal(): Promise<LocalCopy[]> {
    return this.#inside.removals.list()
  }

  /** @throws NodeError DATASET_NOT_FOUND */
  async show(name: string): Promise<DatasetView> {
    this.#known.need(name)
    await this.#inside.shelf.openIfHere(name)
    return this.#inside.showing.view(this.#known.need(name))
  }

  /** A dataset as this node knows it, if it does. */
  find(name: string): Known | undefined {
    return this.#known.get(name)
  }

  /** Whether this node copies what members announce. */
  follows(name: string): boolean {
    return this.#inside.followed.follows(name)
  }

  /** Whether a commit is here; asks nobody. */
  async holds(name: string, commit: string): Promise<boolean> {
    this.#known.need(name)
    return (await (await this.#inside.shelf.openIfHere(name))?.hasCommit(commit)) ?? false
  }

  /** Copies a dataset from now on, whatever the rule. @throws NodeError DATASET_NOT_FOUND, DATASET_WITHHELD. */
  async follow(name: string): Promise<DatasetView> {
    this.#inside.obtaining.checkShared(name, 'there is nothing to copy')
    await this.#inside.followed.choose(name, 'follow')
    return this.show(name)
  }

  /** Copies a dataset no more; what is here stays. @throws NodeError DATASET_NOT_FOUND, DATASET_WITHHELD. */
  async unfollow(name: string): Promise<DatasetView> {
    this.#inside.obtaining.checkShared(name, 'there is nothing to copy')
    await this.#inside.followed.choose(name, 'unfollow')
    return this.show(name)
  }

  /**
   * Brings everything here that members have announced, whether or not the dataset is followed.
   *
   * @param options.onProgress hears of what happens to the dataset meanwhile.
   * @param options.onFailure hears of each member whose branches could not be brought.
   * @throws NodeError DATASET_NOT_FOUND, DATASET_WITHHELD, or what fetching throws.
   */
  async fetchNow(name: string, { onProgress, ...options }: FetchOptions = {}): Promise<DatasetView> {
    const unhear = this.onEvent((event) => {
      if ('dataset' in event && event.dataset === name) onProgress?.(event)
    })
    try {
      await this.#inside.obtaining.all(name, options)
    } finally {
      unhear()
    }
    return this.show(name)
  }

  /**
   * Rewrites a branch of this node, which all others are told, with the reason, and follow.
   *
   * @throws NodeError DATASET_NOT_FOUND, FORBIDDEN, NOT_FOUND, COMMIT_NOT_FOUND, INVALID_INPUT.
   */
  async reset({ dataset, step, branch, to, reason }: ResetRequest): Promise<Reset> {
    this.#known.need(dataset)
    if ((step === undefined) === (branch === undefined)) {
      throw new NodeError('INVALID_INPUT', 'A reset names either a step or a branch')
    }
    const named = branch ?? branchOf(step ?? '', this.#parts.members.self().name)
    return this.#inside.own.reset({ dataset, branch: named, to, reason })
  }

  /** The commits of a branch, newest first; none while nothing was agreed. @throws NodeError DATASET_NOT_FOUND, NOT_FOUND. */
  async log(name: string, branch: string = TRUTH_BRANCH, limit = 50): Promise<CommitInfo[]> {
    this.#known.need(name)
    // Who only looks lays out no copy.
    const repository = await this.#inside.shelf.openIfHere(name)
    const commit = branch === TRUTH_BRANCH ? await this.truth(name) : await repository?.resolve(branch)
    if (commit !== undefined && repository !== undefined) return repository.log(commit, limit)
    if (commit !== undefined) {
      const message = `The commit ${commit} of ${name} is not here; "maoctl dataset fetch ${name}" brings it`
      throw new NodeError('COMMIT_NOT_FOUND', message, { name, commit })
    }
    if (branch === TRUTH_BRANCH) return []
    throw new NodeError('NOT_FOUND', `The dataset ${name} has no branch ${branch} here`, { name, branch })
  }

  /** @throws NodeError DATASET_NOT_FOUND */
  async repository(name: string): Promise<Repository> {
    return this.#repository(name)
  }

  /** The agreed commit, else what the dataset was founded with; it need not be here. @throws NodeError DATASET_NOT_FOUND */
  async truth(name: string): Promise<string | undefined> {
    this.#known.need(name)
    return this.#inside.truths.get(name)
  }

  /**
   * Commits what a directory holds onto this node's own branch `<step>-<node>` and announces it.
   *
   * @throws NodeError DATASET_NOT_FOUND, PATH_UNSAFE, INVALID_NAME, CONFLICT.
   */
  async commitDirectory(request: DirectoryCommit): Promise<CommittedDirectory> {
    this.#known.need(request.dataset)
    return this.#inside.own.commit(request)
  }

  /**
   * Puts a commit that is here already on a branch of this node and announces it.
   *
   * @throws NodeError DATASET_NOT_FOUND, FORBIDDEN, CONFLICT, NOT_FAST_FORWARD, COMMIT_NOT_FOUND.
   */
  async adoptCommit(request: Adoption): Promise<void> {
    this.#known.need(request.dataset)
    await this.#inside.own.adopt(request)
  }

  /** A place for objects that are brought to a dataset, until they are proven. @throws NodeError DATASET_NOT_FOUND */
  async quarantine(name: string): Promise<Quarantine> {
    return (await this.#repository(name)).quarantine()
  }

  /**
   * Makes sure that a commit with all it needs is here.
   *
   * @throws NodeError DATASET_NOT_FOUND, DATASET_WITHHELD where the objects stay elsewhere, COMMIT_NOT_FOUND where nobody
   * else can have it, PEER_UNREACHABLE when nobody who is connected has it, TIMED_OUT when the signal came first.
   */
  async ensureCommit(dataset: string, commit: string, options: { signal?: AbortSignal } = {}): Promise<void> {
    await this.#inside.obtaining.ensure(dataset, commit, options)
  }

  /**
   * Moves the ground truth: of a shared dataset, only for who holds the certificate that proves it; of one on which
   * nobody votes, for its owner.
   *
   * @throws NodeError DATASET_NOT_FOUND, COMMIT_NOT_FOUND when the commit is not here yet, DATASET_WITHHELD when another
   * member says what the truth is.
   */
  async moveTruth(dataset: string, commit: string): Promise<void> {
    const { policy, owner } = this.#known.need(dataset)
    if (policy !== 'shared' && owner !== this.#parts.streams.peerId) {
      this.#inside.obtaining.checkShared(dataset, 'only its owner says what its ground truth is')
    }
    // What lies there is made that dataset's first.
    await this.#inside.shelf.openIfHere(dataset)
    if (policy === 'shared') await this.#known.agreed(dataset)
    await this.#inside.truths.move(dataset, commit)
    if (policy === 'compute-only') await this.#inside.own.announceTruth(dataset)
  }

  /** Where the branch `ground-truth` is here. @throws NodeError DATASET_NOT_FOUND */
  async truthHere(name: string): Promise<string | undefined> {
    this.#known.need(name)
    return (await this.#inside.shelf.openIfHere(name))?.resolve(TRUTH_BRANCH)
  }

  /** Remembers what was agreed on of a dataset that this node does not copy. @throws NodeError DATASET_NOT_FOUND */
  async noteTruth(dataset: string, commit: string): Promise<void> {
    await this.#known.agreed(dataset)
    this.#inside.truths.note(dataset, commit)
  }

  /**
   * What proves that members have told different members different things: two sealed heads each, the one that is
   * followed first.
   *
   * @throws NodeError DATASET_NOT_FOUND
   */
  proofs(
    name: string,
  ): { readonly author: string; readonly sequence: number; readonly envelopes: Uint8Array[] }[] {
    const proofs = this.#inside.equivocations.list(this.#known.need(name).id)
    return proofs.map(({ author, sequence, heads }) => {
      return { author, sequence, envelopes: heads.map(({ envelope }) => envelope) }
    })
  }

  /** Hears of what happens to the datasets. @returns how to stop hearing. */
  onEvent(listener: (event: DatasetEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #repository(name: string): Promise<PackRepository> {
    this.#known.need(name)
    return this.#inside.shelf.open(name)
  }

  get #inside(): Rooms {
    if (this.#rooms === undefined) throw new NodeError('INTERNAL', 'The datasets have not been started')
    return this.#rooms
  }

  #emit(event: DatasetEvent): void {
    const { type } = event
    // The founding commit may just have arrived.
    if (type === 'replicated') this.#rooms?.truths.settleSoon(event.dataset)
    if (type === 'replicated' || type === 'head' || type === 'reset')
      this.#rooms?.reports.touch(event.dataset)
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch (error) {
        // What has happened has happened: a listener's defect must not look like a failed fetch.
        this.#log.error({ event: type, error: messageOf(error) }, 'a listener to datasets failed')
      }
    }
  }
}
