/**
 * The files of the commits that are looked into and counted. Honest members' results mostly have one tree, and each is
 * wanted more than once in a round, while every question to git is a process: what was listed is kept, tree by tree.
 * Commits and trees never change, so nothing kept is ever out of date; what may happen is that they are no more here.
 */
import { listedCommitsMax, listedFilesMax } from '../base/limits-consensus.ts'
import type { Repository, TreeFile } from '../datasets/git/repository.ts'

interface Known {
  /** The tree of each commit. */
  readonly commits: Map<string, string>
  /** By tree, those used last at the end; one that is being listed is there already. */
  readonly trees: Map<string, Promise<readonly TreeFile[]>>
  readonly sizes: Map<string, number>
}

export class Listings {
  readonly #known = new WeakMap<Repository, Known>()

  /** @throws NodeError COMMIT_NOT_FOUND */
  async treeOf(repository: Repository, commit: string): Promise<string> {
    const { commits } = this.#of(repository)
    const known = commits.get(commit)
    if (known !== undefined) return known
    const { tree } = await repository.readCommit(commit)
    commits.set(commit, tree)
    for (const [oldest] of commits) {
      if (commits.size <= listedCommitsMax) break
      commits.delete(oldest)
    }
    return tree
  }

  /** Like `Repository.listFiles`. @throws NodeError COMMIT_NOT_FOUND, PATH_UNSAFE */
  async filesOf(repository: Repository, commit: string): Promise<readonly TreeFile[]> {
    const tree = await this.treeOf(repository, commit)
    const { trees, sizes } = this.#of(repository)
    const listing = trees.get(tree) ?? repository.listFiles(commit)
    trees.delete(tree)
    trees.set(tree, listing)
    try {
      const files = await listing
      if (trees.get(tree) === listing) sizes.set(tree, files.length)
      makeRoom(trees, sizes)
      return files
    } catch (error) {
      if (trees.get(tree) === listing) trees.delete(tree)
      throw error
    }
  }

  /** Something that was listed is not here any more. */
  forget(repository: Repository): void {
    this.#known.delete(repository)
  }

  #of(repository: Repository): Known {
    const known = this.#known.get(repository) ?? { commits: new Map(), trees: new Map(), sizes: new Map() }
    this.#known.set(repository, known)
    return known
  }
}

function makeRoom(trees: Map<string, unknown>, sizes: Map<string, number>): void {
  let kept = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  for (const tree of [...trees.keys()]) {
    if (kept <= listedFilesMax) return
    const size = sizes.get(tree)
    // What is being listed has no size yet.
    if (size === undefined) continue
    kept -= size
    sizes.delete(tree)
    trees.delete(tree)
  }
}
