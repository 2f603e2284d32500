/** How much a directory would add to a repository, without writing any of it. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createDeflate } from 'node:zlib'
import { filesLookedAtOnceMax } from '../../base/limits.ts'
import { type FoundFile, findFiles } from '../git/directory-tree.ts'

/** As git stores single objects (core.looseCompression): what packs it better later only makes it less. */
const LEVEL = 1

interface Measured {
  readonly path: string
  readonly bytes: number
}

export interface DirectoryContent {
  readonly files: readonly Measured[]
  /** Uncompressed. */
  readonly bytes: number
}

/** Links are told by the length of their target. @throws what `findFiles` throws. */
export async function contentOf(directory: string): Promise<DirectoryContent> {
  const found = await findFiles(directory)
  const files: Measured[] = []
  let bytes = 0
  for (let at = 0; at < found.length; at += filesLookedAtOnceMax) {
    const some = found.slice(at, at + filesLookedAtOnceMax)
    const sizes = await Promise.all(some.map((file) => bytesOf(directory, file)))
    for (const [index, { path, target }] of some.entries()) {
      bytes += sizes[index] as number
      if (target === undefined) files.push({ path, bytes: sizes[index] as number })
    }
  }
  return { files, bytes }
}

/** Bytes on the disk of what `known` does not have: read twice where it is new, since its id comes first. */
export async function newBytes(
  directory: string,
  { files }: DirectoryContent,
  known: ReadonlySet<string>,
): Promise<number> {
  const counted = new Set(known)
  let bytes = 0
  for (const file of files) {
    const oid = await blobId(directory, file)
    if (counted.has(oid)) continue
    counted.add(oid)
    bytes += await deflatedBytes(join(directory, file.path))
  }
  return bytes
}

async function bytesOf(directory: string, { path, target }: FoundFile): Promise<number> {
  return target === undefined ? (await lstat(join(directory, path))).size : Buffer.byteLength(target)
}

async function blobId(directory: string, { path, bytes }: Measured): Promise<string> {
  const hash = createHash('sha1').update(`blob ${bytes}\0`)
  for await (const chunk of createReadStream(join(directory, path))) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

async function deflatedBytes(path: string): Promise<number> {
  let bytes = 0
  await pipeline(createReadStream(path), createDeflate({ level: LEVEL }), async (deflated) => {
    for await (const chunk of deflated) bytes += (chunk as Buffer).length
  })
  return bytes
}
