import type { Clock } from '../base/clock.ts'
import { NodeError } from '../base/errors.ts'
import { ownHeadTimeoutMs, storeQueueMax } from '../base/limits.ts'
import { parseName } from '../base/names.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import type { Members } from '../federation/members.ts'
import type { Collection } from '../registry/collection.ts'
import { branchOf, ownerOfBranch } from './branches.ts'
import type { Repository } from './git/repository.ts'
import { type HeadRecord, nextHead } from './heads.ts'
import type { Replicator } from './replicator.ts'
import type { Shelf } from './shelf.ts'

export interface OwnBranchesParts {
  /** Peer id of this node. */
  readonly self: string
  readonly members: Pick<Members, 'self' | 'list'>
  readonly heads: Collection<HeadRecord>
  readonly shelf: Shelf
  readonly replicator: Pick<Replicator, 'fetch'>
  readonly clock: Clock
}

export interface DirectoryCommit {
  readonly dataset: string
  readonly step: string
  /** What it holds becomes the whole tree of the commit. */
  readonly directory: string
  readonly message: string
  /** Ms since the epoch; now by default. */
  readonly timeMs?: number
}

export interface Adoption {
  readonly dataset: string
  /** A branch `<step>-<node>` of this node. */
  readonly branch: string
  /** Is in the repository already, with everything that it needs. */
  readonly commit: string
  /** Where whoever asks believes the branch to be; undefined when it should not exist yet. */
  readonly from: string | undefined
}

/** An adoption within a dataset. */
export type OwnMove = Omit<Adoption, 'dataset'>

export interface CommittedDirectory {
  readonly branch: string
  readonly commit: string
  readonly tree: string
  /** Where the branch was before. */
  readonly parent?: string
  /** False when the directory held what the branch held already; `commit` is then `parent`. */
  readonly changed: boolean
}

/** The branches that this node alone writes: commits go there, and their heads are announced. */
export class OwnBranches {
  readonly #parts: OwnBranchesParts
  readonly #queues = new Map<string, SerialQueue>()

  constructor(parts: OwnBranchesParts) {
    this.#parts = parts
  }

  /**
   * Commits what a directory holds onto `<step>-<node>`; when it returns, the announcement is durable.
   *
   * @throws NodeError PATH_UNSAFE, INVALID_NAME, CONFLICT (the branch was announced from elsewhere and is not here).
   */
  commit(request: DirectoryCommit): Promise<CommittedDirectory> {
    return this.#inTurn(request.dataset, () => this.#commit(request))
  }

  /**
   * Puts a commit that came from elsewhere (a push, an import, an upstream) on a branch of this node; when it returns,
   * the announcement is durable.
   *
   * @throws NodeError FORBIDDEN when the branch is not ours, CONFLICT when it is not at `from`, NOT_FAST_FORWARD,
   * COMMIT_NOT_FOUND.
   */
  adopt(request: Adoption): Promise<void> {
    return this.#inTurn(request.dataset, () => this.#adopt(request))
  }

  /**
   * The same for several branches of a dataset: none moves unless all may.
   *
   * @throws NodeError as `adopt` does, with the branch that may not.
   */
  adoptAll(dataset: string, moves: readonly OwnMove[]): Promise<void> {
    return this.#inTurn(dataset, async () => {
      for (const move of moves) await this.#judgeAdoption({ dataset, ...move })
      for (const move of moves) await this.#adopt({ dataset, ...move })
    })
  }

  /** [MUST] Announces what a crash has kept from being announced (dataset-fetch.md D19). */
  reconcile(dataset: string): Promise<void> {
    return this.#inTurn(dataset, () => this.#reconcile(dataset))
  }

  async idle(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.idle()))
  }

  async #commit({ dataset, step, directory, message, timeMs }: DirectoryCommit): Promise<CommittedDirectory> {
    const { members, shelf, clock, self } = this.#parts
    const { name } = members.self()
    const branch = branchOf(parseName('step', step), name)
    const names = members.list().map((member) => member.name)
    if (ownerOfBranch(branch, names) !== name) {
      throw new NodeError('INVALID_NAME', `The step ${step} would write ${branch}, which is not ours`, {
        branch,
      })
    }
    const repository = await shelf.open(dataset)
    const tree = await repository.writeTreeFromDirectory(directory)
    const parent = await this.#tip(dataset, repository, branch)
    if (parent !== undefined && (await repository.readCommit(parent)).tree === tree) {
      // Also when nothing is new: a crash may have come between the last commit and its announcement.
      await this.#announce(dataset, branch, parent)
      return { branch, commit: parent, tree, parent, changed: false }
    }
    const commit = await repository.writeCommit({
      tree,
      parents: parent === undefined ? [] : [parent],
      message,
      author: { name, email: `${self}@mao.invalid` },
      timeMs: timeMs ?? clock.now(),
    })
    await shelf.move(dataset, branch, commit, parent)
    await this.#announce(dataset, branch, commit)
    return { branch, commit, tree, changed: true, ...(parent === undefined ? {} : { parent }) }
  }

  async #adopt(adoption: Adoption): Promise<void> {
    const { dataset, branch, commit } = adoption
    const held = await this.#judgeAdoption(adoption)
    if (held !== commit) await this.#parts.shelf.move(dataset, branch, commit, held)
    await this.#announce(dataset, branch, commit)
  }

  /** Where the branch is, if it may move to the commit. */
  async #judgeAdoption({ dataset, branch, commit, from }: Adoption): Promise<string | undefined> {
    const { members, shelf } = this.#parts
    const { name } = members.self()
    const names = members.list().map((member) => member.name)
    if (ownerOfBranch(branch, names) !== name) {
      const message = `The branch ${branch} is not ours to move; this node writes branches that end in -${name}`
      throw new NodeError('FORBIDDEN', message, { dataset, branch })
    }
    const repository = await shelf.open(dataset)
    const held = await this.#tip(dataset, repository, branch)
    if (held !== from) {
      const message = `The branch ${branch} is at ${held ?? 'nothing'}, not at ${from ?? 'nothing'}; fetch, and try again`
      throw new NodeError('CONFLICT', message, { dataset, branch, held, from })
    }
    if (held !== undefined && !(await repository.isAncestor(held, commit))) {
      const message = `${commit} does not follow ${held} on ${branch}; a branch only moves forward, unless it is reset`
      throw new NodeError('NOT_FAST_FORWARD', message, { dataset, branch, held, commit })
    }
    return held
  }

  /** Where our branch is. A node that lost its disk has announced more than it holds, and gets it back from others. */
  async #tip(dataset: string, repository: Repository, branch: string): Promise<string | undefined> {
    const { heads, shelf, self, replicator } = this.#parts
    const announced = heads.get(`${dataset}/${self}`)?.value.branches[branch]
    const held = shelf.branches(dataset).get(branch)
    if (announced === undefined || announced === held) return held
    if (!(await repository.hasCommit(announced))) {
      const signal = AbortSignal.timeout(ownHeadTimeoutMs)
      await replicator.fetch(dataset, [announced], { signal, urgent: true })
    }
    if ((await shelf.forward(dataset, branch, announced)) === 'refuse-divergence') {
      const message = `This node has announced ${announced} on ${branch}, but holds ${held}; neither follows the other`
      throw new NodeError('CONFLICT', message, { dataset, branch, announced, held })
    }
    return shelf.branches(dataset).get(branch)
  }

  async #reconcile(dataset: string): Promise<void> {
    const { heads, shelf, self, members } = this.#parts
    const repository = await shelf.open(dataset)
    const { name } = members.self()
    const names = members.list().map((member) => member.name)
    for (const [branch, held] of shelf.branches(dataset)) {
      if (ownerOfBranch(branch, names) !== name) continue
      const announced = heads.get(`${dataset}/${self}`)?.value.branches[branch]
      if (announced === held) continue
      const known = announced !== undefined && (await repository.hasCommit(announced))
      const ahead = known && (await repository.isAncestor(announced, held))
      if (announced === undefined || ahead) await this.#announce(dataset, branch, held)
    }
  }

  async #announce(dataset: string, branch: string, commit: string): Promise<void> {
    const { heads, self } = this.#parts
    const current = heads.get(`${dataset}/${self}`)
    if (current?.value.branches[branch] === commit) return
    const before = current === undefined ? undefined : { head: current.value, value: current.entry.value }
    await heads.put(`${dataset}/${self}`, nextHead(before, branch, commit))
  }

  #inTurn<T>(dataset: string, task: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(dataset) ?? new SerialQueue(storeQueueMax)
    this.#queues.set(dataset, queue)
    return queue.run(task)
  }
}
