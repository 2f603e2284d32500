import { type Database, DURABLE, type Table, table } from '../../base/database.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import { buildsKeptMax } from '../../base/limits.ts'
import { type Build, isBuildEnd } from './build.ts'

/** All builds of this node: on the disk before anyone hears of them, in memory for reading. Ids sort by time. */
export class BuildStore {
  readonly #table: Table<Build>
  readonly #builds = new Map<string, Build>()
  readonly #watchers = new Set<(build: Build) => void>()

  constructor(parts: { database: Database }) {
    this.#table = table(parts.database, 'builds')
  }

  async load(): Promise<void> {
    this.#builds.clear()
    for await (const [, build] of this.#table.iterator()) this.#builds.set(build.id, build)
  }

  /** Oldest first. */
  list(): Build[] {
    return [...this.#builds.values()]
  }

  /** @throws NodeError NOT_FOUND */
  get(id: string): Build {
    const build = this.#builds.get(id)
    if (build !== undefined) return build
    throw new NodeError('NOT_FOUND', `No build is named ${id} on this node`, { id })
  }

  /** @throws NodeError STORE_FAILED */
  async save(build: Build): Promise<void> {
    try {
      await this.#table.put(build.id, build, DURABLE)
    } catch (cause) {
      throw new NodeError('STORE_FAILED', `A build was not stored: ${messageOf(cause)}`, {}, { cause })
    }
    this.#builds.set(build.id, build)
    for (const watch of [...this.#watchers]) watch(build)
  }

  /** Forgets the oldest ended ones beyond the bound. @returns their ids. */
  async prune(): Promise<string[]> {
    const ended = this.list().filter(({ state }) => isBuildEnd(state))
    const forgotten = ended.slice(0, Math.max(0, ended.length - buildsKeptMax)).map(({ id }) => id)
    for (const id of forgotten) {
      await this.#table.del(id, DURABLE)
      this.#builds.delete(id)
    }
    return forgotten
  }

  /** Hears of every stored change. @returns how to stop. */
  onBuild(watch: (build: Build) => void): () => void {
    this.#watchers.add(watch)
    return () => this.#watchers.delete(watch)
  }
}
