import { mkdir, open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { constants, deflate, inflate, inflateSync } from 'node:zlib'
import { isNodeError, messageOf, NodeError } from '../../base/errors.ts'
import { blobBytesMax } from '../../base/limits.ts'
import { exists, replaceFile } from './git-directory.ts'
import { isOid, objectId } from './git-objects.ts'
import { PackReader } from './pack-reader.ts'
import { isGone, namesIn } from './repository-size.ts'

export type ObjectType = 'commit' | 'tree' | 'blob'

export interface StoredObject {
  readonly type: string
  readonly bytes: Uint8Array
}

export interface ObjectInfo {
  readonly type: string
  readonly size: number
}

const [compress, decompress] = [promisify(deflate), promisify(inflate)]
/** The header of a loose object is in its first bytes: type, size, NUL. */
const HEADER_BYTES_MAX = 64
const LOOSE_HEAD_BYTES = 512

/** Reads objects of one or several bare repositories, the first that has it; what it knows of packs it keeps. */
export class ObjectReader {
  readonly #paths: readonly string[]
  /** By the pack's path without its extension; a pack never changes. */
  readonly #packs = new Map<string, PackReader>()

  constructor(...paths: readonly string[]) {
    this.#paths = paths
  }

  find(oid: string): Promise<StoredObject | undefined> {
    return this.#look(oid, readLoose, (pack, place) => pack.read(place))
  }

  /** Type and size, as a rule without unpacking the content. */
  info(oid: string): Promise<ObjectInfo | undefined> {
    return this.#look(oid, describeLoose, (pack, place) => pack.describe(place))
  }

  /** Bytes that an object takes on disk, which a pack of it takes at least. */
  async storedBytes(oid: string): Promise<number> {
    const inPack = async ({ index }: PackReader, place: number) => index.endOf(place) - place
    return (await this.#look(oid, async (file) => (await stat(file)).size, inPack)) ?? 0
  }

  /** @throws NodeError NOT_FOUND, COMMIT_NOT_FOUND when a commit is asked for. */
  async read(oid: string, type: ObjectType): Promise<Uint8Array> {
    const found = await this.find(oid)
    if (found?.type === type) return found.bytes
    throw notHere(oid, type)
  }

  /** @throws NodeError NOT_FOUND, COMMIT_NOT_FOUND when a commit is asked for. */
  async check(oid: string, type: ObjectType): Promise<void> {
    if ((await this.info(oid))?.type !== type) throw notHere(oid, type)
  }

  async #look<T>(
    oid: string,
    inLoose: (file: string) => Promise<T>,
    inPack: (pack: PackReader, place: number) => Promise<T>,
  ): Promise<T | undefined> {
    if (!isOid(oid)) return undefined
    try {
      // What is not found may have moved from one pack into another meanwhile.
      return (await this.#lookOnce(oid, inLoose, inPack)) ?? (await this.#lookAgain(oid, inLoose, inPack))
    } catch (cause) {
      if (isNodeError(cause, 'TOO_LARGE')) throw cause
      const message = `The object ${oid} cannot be read: ${messageOf(cause)}`
      throw new NodeError('GIT_FAILED', message, { oid }, { cause })
    }
  }

  async #lookAgain<T>(
    oid: string,
    inLoose: (file: string) => Promise<T>,
    inPack: (pack: PackReader, place: number) => Promise<T>,
  ): Promise<T | undefined> {
    await this.#refresh()
    return this.#lookOnce(oid, inLoose, inPack)
  }

  async #lookOnce<T>(
    oid: string,
    inLoose: (file: string) => Promise<T>,
    inPack: (pack: PackReader, place: number) => Promise<T>,
  ): Promise<T | undefined> {
    for (const [, pack] of this.#packs) {
      const place = pack.index.placeOf(oid)
      const found = place === undefined ? undefined : await unlessGone(inPack(pack, place))
      if (found !== undefined) return found
    }
    for (const path of this.#paths) {
      const found = await unlessGone(inLoose(join(path, 'objects', oid.slice(0, 2), oid.slice(2))))
      if (found !== undefined) return found
    }
    return undefined
  }

  async #refresh(): Promise<void> {
    const found = new Set<string>()
    for (const path of this.#paths) {
      const directory = join(path, 'objects', 'pack')
      for (const name of await namesIn(directory)) {
        if (name.endsWith('.idx')) found.add(join(directory, name.slice(0, -'.idx'.length)))
      }
    }
    for (const known of this.#packs.keys()) if (!found.has(known)) this.#packs.delete(known)
    for (const pack of found) {
      if (this.#packs.has(pack)) continue
      const reader = await unlessGone(PackReader.open(pack))
      if (reader !== undefined) this.#packs.set(pack, reader)
    }
  }
}

/** Stores an object as a loose one. Its name comes last: a node killed halfway must not keep a torn one for ever. */
export async function writeLoose(gitdir: string, type: ObjectType, bytes: Uint8Array): Promise<string> {
  const oid = objectId(type, bytes)
  const directory = join(gitdir, 'objects', oid.slice(0, 2))
  const path = join(directory, oid.slice(2))
  if (await exists(path)) return oid
  await mkdir(directory, { recursive: true })
  const header = Buffer.from(`${type} ${bytes.length}\0`)
  await replaceFile(path, await compress(Buffer.concat([header, bytes])))
  return oid
}

async function readLoose(file: string): Promise<StoredObject> {
  const packed = await readFile(file)
  const options = { maxOutputLength: blobBytesMax + HEADER_BYTES_MAX }
  const whole = await decompress(packed, options).catch((cause: Error) => {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') throw cause
    const message = `It has more than ${blobBytesMax} bytes; without the git program no more are read: install git`
    throw new NodeError('TOO_LARGE', message, {}, { cause })
  })
  const { type, size, end } = looseHeader(whole)
  const bytes = whole.subarray(end)
  if (bytes.length !== size) throw torn()
  return { type, bytes }
}

async function describeLoose(file: string): Promise<ObjectInfo> {
  const handle = await open(file, 'r')
  try {
    const head = Buffer.alloc(LOOSE_HEAD_BYTES)
    const { bytesRead } = await handle.read(head, 0, head.length, 0)
    // What is cut off here is not asked for.
    const options = { finishFlush: constants.Z_SYNC_FLUSH }
    const { type, size } = looseHeader(inflateSync(head.subarray(0, bytesRead), options))
    return { type, size }
  } finally {
    await handle.close()
  }
}

function looseHeader(bytes: Buffer): { type: string; size: number; end: number } {
  const end = bytes.indexOf(0)
  const found = /^(\w+) (\d+)$/.exec(bytes.toString('latin1', 0, Math.min(end, HEADER_BYTES_MAX)))
  if (end === -1 || found === null) throw torn()
  return { type: found[1] as string, size: Number(found[2]), end: end + 1 }
}

async function unlessGone<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

function torn(): NodeError {
  return new NodeError('GIT_FAILED', 'it is torn')
}

function notHere(oid: string, type: ObjectType): NodeError {
  if (type === 'commit') {
    return new NodeError('COMMIT_NOT_FOUND', `The commit ${oid.slice(0, 80)} is not here`, { commit: oid })
  }
  return new NodeError('NOT_FOUND', `There is no ${type === 'blob' ? 'file content' : type} ${oid} here`, {
    oid,
  })
}
