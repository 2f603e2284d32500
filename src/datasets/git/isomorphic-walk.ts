/** Whether all is here that objects lead to, without the git program: what `git rev-list --objects --not` tells with it. */
import { isNodeError } from '../../base/errors.ts'
import { DIRECTORY_MODE, decodeCommit, decodeTree } from './git-objects.ts'
import { between } from './isomorphic-history.ts'
import type { ObjectReader } from './isomorphic-objects.ts'
import type { Link } from './object-links.ts'

/**
 * Follows links as far as objects that are not known to be whole.
 *
 * @param tips commits that are taken for whole.
 * @returns the first link that leads nowhere.
 */
export async function missingBelow(
  reader: ObjectReader,
  links: readonly Link[],
  tips: readonly string[],
  signal?: AbortSignal,
): Promise<Link | undefined> {
  const whole = new Set(tips)
  const of = (kind: string) => links.filter(([oid, type]) => type === kind && !whole.has(oid))
  const commits = of('commit').map(([oid]) => oid)
  try {
    const missing = await firstMissing(reader, links)
    if (missing !== undefined) return missing
    const fresh = commits.length === 0 ? [] : (await between(reader, commits, tips)).fresh
    const trees = new Set([...of('tree').map(([oid]) => oid), ...fresh.map(({ tree }) => tree)])
    const held = new HeldTrees(reader, tips)
    return await walkTrees(reader, [...trees], held, signal)
  } catch (error) {
    if (!isNodeError(error, 'COMMIT_NOT_FOUND')) throw error
    return [String(error.data.commit), 'commit']
  }
}

/** The directories of the tips, read no further than anybody asks: what a change leaves as it was lies near the top. */
class HeldTrees {
  readonly #reader: ObjectReader
  readonly #seen = new Set<string>()
  #level: readonly string[] | undefined
  readonly #tips: readonly string[]

  constructor(reader: ObjectReader, tips: readonly string[]) {
    this.#reader = reader
    this.#tips = tips
  }

  /** Those of the trees that the tips do not lead to. */
  async without(trees: Iterable<string>, signal?: AbortSignal): Promise<string[]> {
    const left = new Set([...trees].filter((oid) => !this.#seen.has(oid)))
    while (left.size > 0) {
      this.#level ??= await this.#tops()
      if (this.#level.length === 0) break
      const below: string[] = []
      for (const oid of this.#level) {
        signal?.throwIfAborted()
        left.delete(oid)
        if (this.#seen.has(oid)) continue
        this.#seen.add(oid)
        const found = await this.#reader.find(oid)
        if (found?.type === 'tree') below.push(...subtrees(oid, found.bytes))
      }
      this.#level = below
    }
    return [...left]
  }

  async #tops(): Promise<string[]> {
    const tops: string[] = []
    for (const tip of this.#tips) {
      const found = await this.#reader.find(tip)
      if (found?.type === 'commit') tops.push(decodeCommit(tip, found.bytes).tree)
    }
    return tops
  }
}

/** Level by level, so that what is held is not walked into. */
async function walkTrees(
  reader: ObjectReader,
  trees: readonly string[],
  held: HeldTrees,
  signal?: AbortSignal,
): Promise<Link | undefined> {
  const seen = new Set<string>()
  let level = await held.without(trees, signal)
  while (level.length > 0) {
    const below = new Set<string>()
    for (const oid of level) {
      signal?.throwIfAborted()
      const found = await reader.find(oid)
      if (found?.type !== 'tree') return [oid, 'tree']
      for (const inner of subtrees(oid, found.bytes)) if (!seen.has(inner)) below.add(inner)
      const files = decodeTree(oid, found.bytes).filter(({ mode }) => mode !== DIRECTORY_MODE)
      const missing = await firstMissing(
        reader,
        files.filter((file) => !seen.has(file.oid)).map((file): Link => [file.oid, 'blob']),
      )
      if (missing !== undefined) return missing
      for (const file of files) seen.add(file.oid)
    }
    for (const oid of below) seen.add(oid)
    level = await held.without(below, signal)
  }
  return undefined
}

function subtrees(oid: string, bytes: Uint8Array): string[] {
  return decodeTree(oid, bytes)
    .filter(({ mode }) => mode === DIRECTORY_MODE)
    .map((entry) => entry.oid)
}

async function firstMissing(reader: ObjectReader, links: readonly Link[]): Promise<Link | undefined> {
  for (const [oid, type] of links) if ((await reader.info(oid))?.type !== type) return [oid, type]
  return undefined
}
