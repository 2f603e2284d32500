import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { orDiskFull } from '../base/disk-space.ts'
import { isNodeError, NodeError } from '../base/errors.ts'
import { removalWaitMs, storeQueueMax } from '../base/limits.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import { withDeadline } from '../base/wait.ts'
import { checkBranch, clearQuarantine, exists, syncDirectory } from './git/git-directory.ts'
import { GitProgram } from './git/git-program.ts'
import { IsomorphicBackend } from './git/isomorphic-repository.ts'
import { NativeBackend } from './git/native-repository.ts'
import type { GitBackend, NewRepository, PackRepository } from './git/repository.ts'
import { namesIn } from './git/repository-size.ts'
import { type Excuse, judgeMove, type Move } from './heads.ts'
import { counted, Use } from './in-use.ts'

export type BackendChoice = 'auto' | 'native' | 'isomorphic'

/** @throws NodeError INVALID_CONFIG when `native` is asked for and there is no git that is new enough. */
export async function chooseBackend(choice: BackendChoice): Promise<GitBackend> {
  const git = choice === 'isomorphic' ? undefined : await GitProgram.find()
  if (git !== undefined) return new NativeBackend(git)
  if (choice === 'native') {
    const message = 'No git 2.30 or newer is on PATH; install git, or set git.backend to auto'
    throw new NodeError('INVALID_CONFIG', message)
  }
  return new IsomorphicBackend()
}

/** Which repository is whose; asked before one is opened. */
export interface Places {
  /** Below the shelf's directory, without its ending: `<name>`, or `local/<name>`. */
  placeOf(dataset: string): string
  /** Resolves once what lies there belongs to the dataset that has the name now. */
  ready(dataset: string): Promise<void>
}

/** Who works with copies of its own accord, and has to know when one is taken away. */
export interface Custodian {
  /** Nothing of its is at work in the copy when this returns. */
  leave(dataset: string): Promise<void>
  /** The copy is gone. */
  forget(dataset: string): Promise<void>
}

interface Kept {
  readonly repository: PackRepository
  /** Where the branches are: all moves pass this room, so nobody has to ask git. */
  readonly branches: Map<string, string>
  /** Deciding on a move and making it are one. */
  readonly moves: SerialQueue
}

/** Copies of datasets that were removed while theirs stayed; each is named `<dataset>~<id>`. */
const FORMER = '.former'
/** What is being deleted: out of sight at once, gone a moment later or at the next start. */
const REMOVED = '.removed'
const ENDING = '.git'
const LOCAL = 'local'

/** A repository on this node's disk. */
export interface OnDisk {
  /** `<name>`, `local/<name>`, or one that was set aside. */
  readonly place: string
  readonly path: string
  readonly former: boolean
}

/** What stands between a repository and all who use it. */
export type Guard = (dataset: string, repository: PackRepository) => PackRepository

/** The repositories of this node's datasets, opened once each. */
export class Shelf {
  readonly #directory: string
  readonly #backend: GitBackend
  readonly #guard: Guard
  readonly #kept = new Map<string, Promise<Kept>>()
  readonly #branches = new Map<string, Map<string, string>>()
  readonly #uses = new Map<string, Use>()
  #places: Places = { placeOf: (dataset) => dataset, ready: async () => undefined }
  #custodian: Custodian | undefined

  constructor(directory: string, backend: GitBackend, guard: Guard = (_, repository) => repository) {
    this.#directory = directory
    this.#backend = backend
    this.#guard = guard
  }

  /** To be called before anything is opened. */
  useFor(places: Places, custodian?: Custodian): void {
    this.#places = places
    this.#custodian = custodian
  }

  get backend(): GitBackend['kind'] {
    return this.#backend.kind
  }

  /** Removes what an earlier life of this node has left half done. */
  async tidy(): Promise<void> {
    for (const directory of [this.#directory, join(this.#directory, LOCAL)]) {
      await clearQuarantine(directory)
      await rm(join(directory, REMOVED), { recursive: true, force: true })
    }
  }

  /** Opens the repository of a dataset, making it when there is none. @throws NodeError CONFLICT while it is removed. */
  async open(dataset: string): Promise<PackRepository> {
    return (await this.#keep(dataset)).repository
  }

  /** Opens the repository of a dataset if there is one. */
  async openIfHere(dataset: string): Promise<PackRepository | undefined> {
    await this.#places.ready(dataset)
    return (await this.has(this.#places.placeOf(dataset))) ? this.open(dataset) : undefined
  }

  /** The repository of a dataset of which nothing is here yet. */
  unopened(dataset: string): NewRepository {
    return { dialects: this.#backend.dialects, layOut: () => this.open(dataset) }
  }

  /** The branches of a dataset as far as it has been opened. */
  branches(dataset: string): ReadonlyMap<string, string> {
    return this.#branches.get(this.#places.placeOf(dataset)) ?? new Map()
  }

  /** @throws NodeError CONFLICT when the branch is no longer at `from`, COMMIT_NOT_FOUND. */
  async move(dataset: string, branch: string, to: string, from: string | undefined): Promise<void> {
    const { repository, branches } = await this.#keep(dataset)
    await repository.moveBranch(checkBranch(branch), to, from)
    branches.set(branch, to)
  }

  /**
   * Moves a branch to a commit that is here, if that is forward from wherever it is by now, or there is an excuse.
   *
   * @returns what was found: `forward` and excuses are done, the rest was left alone.
   */
  async follow(dataset: string, branch: string, announced: string, excuseOf?: ExcuseOf): Promise<Move> {
    const { repository, branches, moves } = await this.#keep(dataset)
    return moves.run(async () => {
      const held = branches.get(branch)
      const related = held !== undefined && held !== announced
      const heldIsAncestor = related && (await repository.isAncestor(held, announced))
      const announcedIsAncestor = related && !heldIsAncestor && (await repository.isAncestor(announced, held))
      const excuse = related && !heldIsAncestor ? await excuseOf?.(held, repository) : undefined
      const move = judgeMove({ held, announced, heldIsAncestor, announcedIsAncestor, excuse })
      const moves = move === 'forward' || move === 'reset' || move === 'equivocation'
      if (moves) await this.move(dataset, branch, announced, held)
      return move
    })
  }

  async has(place: string): Promise<boolean> {
    return exists(join(this.#pathOf(place), 'HEAD'))
  }

  /** Every repository on the disk, those set aside included. */
  async list(): Promise<OnDisk[]> {
    const found: OnDisk[] = []
    for (const [below, former] of [
      ['', false],
      [LOCAL, false],
      [FORMER, true],
      [`${LOCAL}/${FORMER}`, true],
    ] as const) {
      for (const name of await namesIn(join(this.#directory, below))) {
        if (!name.endsWith(ENDING)) continue
        const place = join(below, name.slice(0, -ENDING.length))
        found.push({ place, path: this.#pathOf(place), former })
      }
    }
    return found.sort((a, b) => (a.place < b.place ? -1 : 1))
  }

  /** Puts a repository out of the way, where it stays until somebody removes it. @throws NodeError CONFLICT */
  async setAside(place: string, id: string): Promise<void> {
    const name = place.startsWith(`${LOCAL}/`) ? place.slice(LOCAL.length + 1) : place
    const base = join(this.#directory, place.startsWith(`${LOCAL}/`) ? LOCAL : '', FORMER)
    const free = !(await exists(join(base, `${name}~${id}${ENDING}`)))
    await this.#take(place, join(base, `${name}~${free ? id : randomUUID()}${ENDING}`))
  }

  /**
   * Deletes a repository. It goes by a rename, so that a crash leaves all of it or nothing.
   *
   * @throws NodeError CONFLICT when it is in use and stays so for `removalWaitMs`.
   */
  async remove(place: string): Promise<void> {
    const gone = join(dirname(this.#pathOf(place)), REMOVED, randomUUID())
    await this.#take(place, gone)
    await rm(gone, { recursive: true, force: true })
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#kept.values())
    await this.#backend.stop()
  }

  #pathOf(place: string): string {
    return join(this.#directory, `${place}${ENDING}`)
  }

  async #take(place: string, to: string): Promise<void> {
    const use = this.#uses.get(place) ?? new Use()
    this.#uses.set(place, use)
    const dataset = place.slice(place.lastIndexOf('/') + 1)
    const isOpen = this.#kept.has(place)
    // Of a place that another one hides, or that was set aside, nobody keeps an account.
    const isCurrent = isOpen || place === this.#places.placeOf(dataset)
    try {
      const left = isOpen ? this.#custodian?.leave(dataset) : undefined
      await withDeadline(Promise.all([left, use.close()]), removalWaitMs, 'What uses this copy')
      if (await exists(this.#pathOf(place))) {
        await mkdir(dirname(to), { recursive: true, mode: 0o700 })
        await rename(this.#pathOf(place), to)
        await syncDirectory(dirname(this.#pathOf(place)))
      }
      this.#kept.delete(place)
      this.#branches.delete(place)
      this.#uses.delete(place)
      // Whoever opens it from here on begins a new account, which must not be closed with the old one.
      if (isCurrent) await this.#custodian?.forget(dataset)
    } catch (cause) {
      use.reopen()
      if (!isNodeError(cause, 'TIMED_OUT')) throw cause
      const message = `The copy ${place} is in use by a transfer or a run; try again when it has ended`
      throw new NodeError('CONFLICT', message, { place }, { cause })
    }
  }

  async #keep(dataset: string): Promise<Kept> {
    await this.#places.ready(dataset)
    const place = this.#places.placeOf(dataset)
    if (this.#uses.get(place)?.isClosed) {
      throw new NodeError('CONFLICT', `The copy of ${dataset} is being removed; try again`, { dataset })
    }
    const known = this.#kept.get(place)
    if (known !== undefined) return known
    const opening = this.#open(dataset, place)
    this.#kept.set(place, opening)
    // A disk that was full is asked again by the next caller.
    opening.catch(() => this.#kept.delete(place))
    return opening
  }

  async #open(dataset: string, place: string): Promise<Kept> {
    const use = new Use()
    this.#uses.set(place, use)
    await mkdir(dirname(this.#pathOf(place)), { recursive: true, mode: 0o700 })
    const path = this.#pathOf(place)
    const opened = await this.#backend.open(path).catch((error: unknown) => {
      throw orDiskFull(error, path)
    })
    const repository = counted(this.#guard(dataset, opened), use)
    const branches = new Map(await repository.branches())
    this.#branches.set(place, branches)
    return { repository, branches, moves: new SerialQueue(storeQueueMax) }
  }
}

/** Why a branch at `held` may go where it does not lead, if there is a reason. */
export type ExcuseOf = (held: string, repository: PackRepository) => Promise<Excuse | undefined>
