import { join } from 'node:path'
import { NodeError } from '../base/errors.ts'
import { storeQueueMax } from '../base/limits.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import { checkBranch, clearQuarantine } from './git/git-directory.ts'
import { GitProgram } from './git/git-program.ts'
import { IsomorphicBackend } from './git/isomorphic-repository.ts'
import { NativeBackend } from './git/native-repository.ts'
import type { GitBackend, PackRepository } from './git/repository.ts'
import { judgeMove, type Move } from './heads.ts'

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

interface Kept {
  readonly repository: PackRepository
  /** Where the branches are: all moves pass this room, so nobody has to ask git. */
  readonly branches: Map<string, string>
  /** Deciding on a move and making it are one. */
  readonly moves: SerialQueue
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

  constructor(directory: string, backend: GitBackend, guard: Guard = (_, repository) => repository) {
    this.#directory = directory
    this.#backend = backend
    this.#guard = guard
  }

  get backend(): GitBackend['kind'] {
    return this.#backend.kind
  }

  /** Removes what an earlier life of this node has left half done. */
  async tidy(): Promise<void> {
    await clearQuarantine(this.#directory)
  }

  async open(dataset: string): Promise<PackRepository> {
    return (await this.#keep(dataset)).repository
  }

  /** The branches of a dataset as far as it has been opened. */
  branches(dataset: string): ReadonlyMap<string, string> {
    return this.#branches.get(dataset) ?? new Map()
  }

  /** @throws NodeError CONFLICT when the branch is no longer at `from`, COMMIT_NOT_FOUND. */
  async move(dataset: string, branch: string, to: string, from: string | undefined): Promise<void> {
    const { repository, branches } = await this.#keep(dataset)
    await repository.moveBranch(checkBranch(branch), to, from)
    branches.set(branch, to)
  }

  /**
   * Moves a branch to a commit that is here, if that is forward from wherever it is by now.
   *
   * @returns what was found: `forward` is done, the rest was left alone.
   */
  async forward(dataset: string, branch: string, announced: string): Promise<Move> {
    const { repository, branches, moves } = await this.#keep(dataset)
    return moves.run(async () => {
      const held = branches.get(branch)
      const related = held !== undefined && held !== announced
      const heldIsAncestor = related && (await repository.isAncestor(held, announced))
      const announcedIsAncestor = related && !heldIsAncestor && (await repository.isAncestor(announced, held))
      const move = judgeMove({ held, announced, heldIsAncestor, announcedIsAncestor })
      if (move === 'forward') await this.move(dataset, branch, announced, held)
      return move
    })
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#kept.values())
    await this.#backend.stop()
  }

  #keep(dataset: string): Promise<Kept> {
    const known = this.#kept.get(dataset)
    if (known !== undefined) return known
    const opening = this.#open(dataset)
    this.#kept.set(dataset, opening)
    // A disk that was full is asked again by the next caller.
    opening.catch(() => this.#kept.delete(dataset))
    return opening
  }

  async #open(dataset: string): Promise<Kept> {
    const opened = await this.#backend.open(join(this.#directory, `${dataset}.git`))
    const repository = this.#guard(dataset, opened)
    const branches = new Map(await repository.branches())
    this.#branches.set(dataset, branches)
    return { repository, branches, moves: new SerialQueue(storeQueueMax) }
  }
}
