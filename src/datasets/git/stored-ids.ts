import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { IdTable } from './id-table.ts'
import { isGone, namesIn } from './repository-size.ts'

/** Beside a pack of objects that nothing reached when it was made; they may be dropped any time (garbage.ts). */
export const UNREACHED_MARK = '.unreached'

/** Which objects a repository has to stay, by its indexes. */
export class StoredIds {
  readonly #objects: string
  readonly #packs: readonly IdTable[]

  private constructor(objects: string, packs: readonly IdTable[]) {
    this.#objects = objects
    this.#packs = packs
  }

  static async load(path: string): Promise<StoredIds> {
    const directory = join(path, 'objects', 'pack')
    const names = new Set(await namesIn(directory))
    const packs: IdTable[] = []
    for (const name of names) {
      if (!name.endsWith('.idx') || names.has(name.replace(/\.idx$/, UNREACHED_MARK))) continue
      packs.push(await IdTable.read(join(directory, name)))
    }
    return new StoredIds(join(path, 'objects'), packs)
  }

  /** A loose object that is asked for is as good as new again: its age counts from now. */
  async has(oid: string): Promise<boolean> {
    if (this.#packs.some((table) => table.has(oid))) return true
    const now = new Date()
    try {
      await utimes(join(this.#objects, oid.slice(0, 2), oid.slice(2)), now, now)
      return true
    } catch (error) {
      if (isGone(error)) return false
      throw error
    }
  }
}
