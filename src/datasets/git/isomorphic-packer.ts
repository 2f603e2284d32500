import { isNodeError } from '../../base/errors.ts'
import { packInMemoryBytesMax } from '../../base/limits.ts'
import type { Packer } from './garbage.ts'
import { isOid } from './git-objects.ts'
import { ObjectReader } from './isomorphic-objects.ts'
import { referred } from './object-links.ts'
import { writePack } from './pack-writer.ts'
import { looseFiles } from './repository-size.ts'

/** Makes packs of whole objects, no larger than nodes without git take from each other. */
export class IsomorphicPacker implements Packer {
  readonly #path: string
  readonly branches: Packer['branches']

  constructor(path: string, branches: Packer['branches']) {
    this.#path = path
    this.branches = branches
  }

  async packReached(keep: readonly string[], signal?: AbortSignal) {
    const reached = await this.#reach(await this.#tips(keep), signal)
    try {
      return { pack: await this.#pack([...reached], signal), of: 'all' } as const
    } catch (error) {
      if (!isNodeError(error, 'TOO_LARGE')) throw error
    }
    const loose = (await looseFiles(this.#path)).map(({ oid }) => oid)
    const some = loose.filter((oid) => reached.has(oid))
    return { pack: await this.#pack(some, signal), of: 'loose' } as const
  }

  packListed(oids: readonly string[], signal?: AbortSignal): Promise<string | undefined> {
    return this.#pack(oids, signal)
  }

  async closure(oids: readonly string[], keep: readonly string[], signal?: AbortSignal) {
    const reached = await this.#reach(await this.#tips(keep), signal)
    const found = await this.#reach(oids, signal, reached)
    return [...found].filter((oid) => !reached.has(oid))
  }

  #pack(oids: readonly string[], signal?: AbortSignal): Promise<string | undefined> {
    const options = { bytesMax: packInMemoryBytesMax, signal }
    return writePack(this.#path, new ObjectReader(this.#path), oids, options)
  }

  async #tips(keep: readonly string[]): Promise<string[]> {
    const reader = new ObjectReader(this.#path)
    const tips = [...(await this.branches()).values()]
    for (const oid of keep) if (isOid(oid) && (await reader.info(oid)) !== undefined) tips.push(oid)
    return tips
  }

  /** Everything from `oids` downwards that is not in `known`. What is not here leads nowhere. */
  async #reach(
    oids: readonly string[],
    signal?: AbortSignal,
    known: ReadonlySet<string> = new Set(),
  ): Promise<Set<string>> {
    const reader = new ObjectReader(this.#path)
    const found = new Set<string>()
    const pending: [oid: string, type: string | undefined][] = oids.map((oid) => [oid, undefined])
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const [oid, type] = next
      if (found.has(oid) || known.has(oid)) continue
      signal?.throwIfAborted()
      found.add(oid)
      if (type === 'blob') continue
      const object = await reader.find(oid)
      if (object !== undefined) pending.push(...referred(oid, object.type, object.bytes))
    }
    return found
  }
}
