/**
 * Storing what a directory holds. Most of it is there already as a rule, and what is new comes in one pack, written and
 * made durable once: as many single objects would each wait for the disk, and be joined into a pack later on.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { NodeError } from '../../base/errors.ts'
import {
  filesReadAtOnceMax,
  filesReadBytesMax,
  ingestPackBytesMax,
  looseIngestMax,
  packInMemoryBytesMax,
  smallFileBytesMax,
} from '../../base/limits.ts'
import { type FoundFile, findFiles } from './directory-tree.ts'
import { nestTrees, objectId } from './git-objects.ts'
import { writeLoose } from './isomorphic-objects.ts'
import { encodeEntry, PackFile } from './pack-writer.ts'
import { checkPaths } from './path-rules.ts'
import type { TreeFile } from './repository.ts'
import { StoredIds } from './stored-ids.ts'

/** Stores one large file by itself. @returns its id. */
export type StoreLarge = (file: string, size: number) => Promise<string>

type Kind = 'blob' | 'tree'

/** An object that is to be stored, read again when its turn comes. */
interface NewObject {
  readonly oid: string
  readonly kind: Kind
  readonly size: number
  readonly read: () => Promise<Uint8Array>
}

/**
 * @returns the tree's id.
 * @throws NodeError PATH_UNSAFE, CONFLICT when a file changes while it is read, and what `storeLarge` throws.
 */
export async function ingestDirectory(
  path: string,
  directory: string,
  storeLarge: StoreLarge,
): Promise<string> {
  const found = await findFiles(directory)
  checkPaths(found.map((file) => file.path))
  const stored = await StoredIds.load(path)
  const fresh = new Map<string, NewObject>()
  const note = async (object: NewObject) => {
    if (!fresh.has(object.oid) && !(await stored.has(object.oid))) fresh.set(object.oid, object)
  }
  const files: TreeFile[] = []
  await inGroups(found, async (group) => {
    const oids = await Promise.all(group.map((file) => identify(directory, file, storeLarge, note)))
    for (const [i, { path: name, mode }] of group.entries())
      files.push({ path: name, mode, oid: oids[i] as string })
  })
  const { trees, root } = nestTrees(files)
  for (const { oid, bytes } of trees) {
    await note({ oid, kind: 'tree', size: bytes.length, read: async () => bytes })
  }
  await store(path, [...fresh.values()])
  return root
}

async function identify(
  directory: string,
  { path, target, size }: FoundFile,
  storeLarge: StoreLarge,
  note: (object: NewObject) => Promise<void>,
): Promise<string> {
  const full = join(directory, path)
  if (target === undefined && size > smallFileBytesMax) return storeLarge(full, size)
  const read = async () => (target === undefined ? readSmall(full) : Buffer.from(target))
  const bytes = await read()
  const oid = objectId('blob', bytes)
  await note({ oid, kind: 'blob', size: bytes.length, read })
  return oid
}

async function store(path: string, objects: readonly NewObject[]): Promise<void> {
  if (objects.length <= looseIngestMax) {
    for (const object of objects) await writeLoose(path, object.kind, await readAgain(object))
    return
  }
  for (const group of packsOf(objects)) {
    const pack = await PackFile.create(path, group.length, packInMemoryBytesMax)
    try {
      await inGroups(group, async (some) => {
        const encode = async (object: NewObject) => encodeEntry(object.kind, await readAgain(object))
        const entries = await Promise.all(some.map(encode))
        for (const [i, entry] of entries.entries()) await pack.add((some[i] as NewObject).oid, entry)
      })
      await pack.keep()
    } finally {
      await pack.close()
    }
  }
}

async function readAgain({ oid, kind, read }: NewObject): Promise<Uint8Array> {
  const bytes = await read()
  if (objectId(kind, bytes) === oid) return bytes
  throw new NodeError('CONFLICT', 'A file has changed while it was being stored; try again when all is still')
}

function packsOf(objects: readonly NewObject[]): NewObject[][] {
  const packs: NewObject[][] = [[]]
  let bytes = 0
  for (const object of objects) {
    bytes += object.size
    if (bytes > ingestPackBytesMax) {
      packs.push([])
      bytes = object.size
    }
    packs.at(-1)?.push(object)
  }
  return packs
}

/** As many at once as fit memory. */
async function inGroups<T extends { readonly size: number }>(
  items: readonly T[],
  work: (group: readonly T[]) => Promise<void>,
): Promise<void> {
  for (let at = 0; at < items.length; ) {
    let [end, bytes] = [at, 0]
    while (end < items.length && end - at < filesReadAtOnceMax) {
      bytes += (items[end] as T).size
      if (end > at && bytes > filesReadBytesMax) break
      end += 1
    }
    await work(items.slice(at, end))
    at = end
  }
}

async function readSmall(path: string): Promise<Uint8Array> {
  // Whoever put a link in its place meanwhile does not get it read.
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const bytes = await handle.readFile()
    if (bytes.length <= smallFileBytesMax) return bytes
    throw new NodeError('CONFLICT', `${path} grows while it is being stored; try again when all is still`)
  } finally {
    await handle.close()
  }
}
