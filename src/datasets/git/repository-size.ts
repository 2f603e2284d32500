import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { RepositorySize } from './repository.ts'

/** A pack's index begins with 8 bytes and 256 counts, the last of which counts all objects (gitformat-pack). */
const INDEX_HEAD_BYTES = 8 + 256 * 4

/** Measures the objects of a bare repository on disk; what vanishes meanwhile, because it is being joined, counts nothing. */
export async function measureRepository(path: string): Promise<RepositorySize> {
  const objects = join(path, 'objects')
  const loose = await looseFiles(path)
  let bytes = 0
  for (const file of loose) bytes += await bytesOf(file.path)
  let [packs, packed] = [0, 0]
  for (const name of await namesIn(join(objects, 'pack'))) {
    const file = join(objects, 'pack', name)
    bytes += await bytesOf(file)
    if (!name.endsWith('.idx')) continue
    packs += 1
    packed += await objectsIn(file)
  }
  return { bytes, looseObjects: loose.length, packs, objects: loose.length + packed }
}

export interface LooseFile {
  readonly oid: string
  readonly path: string
}

/** The loose objects of a bare repository. */
export async function looseFiles(path: string): Promise<LooseFile[]> {
  const found: LooseFile[] = []
  const objects = join(path, 'objects')
  for (const first of await namesIn(objects)) {
    if (!/^[0-9a-f]{2}$/.test(first)) continue
    for (const rest of await namesIn(join(objects, first))) {
      if (/^[0-9a-f]{38}$/.test(rest)) found.push({ oid: first + rest, path: join(objects, first, rest) })
    }
  }
  return found
}

export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

export function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}

async function bytesOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (isGone(error)) return 0
    throw error
  }
}

async function objectsIn(index: string): Promise<number> {
  const head = Buffer.alloc(INDEX_HEAD_BYTES)
  try {
    const handle = await open(index, 'r')
    try {
      const { bytesRead } = await handle.read(head, 0, head.length, 0)
      return bytesRead < head.length ? 0 : head.readUInt32BE(head.length - 4)
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (isGone(error)) return 0
    throw error
  }
}
