import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { deflate } from 'node:zlib'
import git from 'isomorphic-git'
import { NodeError } from '../../base/errors.ts'
import { exists, replaceFile } from './git-directory.ts'
import { objectId } from './git-objects.ts'

export type ObjectType = 'commit' | 'tree' | 'blob'

export interface StoredObject {
  readonly type: string
  readonly bytes: Uint8Array
}

const compress = promisify(deflate)

/** Reads objects of one or several bare repositories, the first that has it; indexes are read once per reader. */
export class ObjectReader {
  readonly #paths: readonly string[]
  readonly #cache = {}

  constructor(...paths: readonly string[]) {
    this.#paths = paths
  }

  async find(oid: string): Promise<StoredObject | undefined> {
    for (const gitdir of this.#paths) {
      try {
        const found = await git.readObject({ fs, gitdir, oid, format: 'content', cache: this.#cache })
        return { type: found.type, bytes: found.object as Uint8Array }
      } catch (error) {
        if (!(error instanceof git.Errors.NotFoundError)) throw failed(`read the object ${oid}`, error)
      }
    }
    return undefined
  }

  /** @throws NodeError NOT_FOUND, COMMIT_NOT_FOUND when a commit is asked for. */
  async read(oid: string, type: ObjectType): Promise<Uint8Array> {
    const found = await this.find(oid)
    if (found?.type === type) return found.bytes
    if (type === 'commit') {
      throw new NodeError('COMMIT_NOT_FOUND', `The commit ${oid.slice(0, 80)} is not here`, { commit: oid })
    }
    throw new NodeError('NOT_FOUND', `There is no ${type === 'blob' ? 'file content' : type} ${oid} here`, {
      oid,
    })
  }
}

/**
 * Stores an object as a loose one. isomorphic-git would write it under its name at once, and a node killed halfway
 * would keep a torn object for ever; here the name comes last.
 */
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

const PACK_TYPES: Readonly<Record<string, number>> = { commit: 1, tree: 2, blob: 3 }

/** A pack of whole objects, compressed one after another (gitformat-pack, version 2). */
export async function* encodePack(
  reader: ObjectReader,
  oids: readonly string[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const sum = createHash('sha1')
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1')
  header.writeUInt32BE(oids.length, 8)
  sum.update(header)
  yield header
  for (const oid of oids) {
    const found = await reader.find(oid)
    const type = PACK_TYPES[found?.type ?? '']
    if (found === undefined || type === undefined) {
      throw new NodeError('NOT_FOUND', `There is no object ${oid} here`, { oid })
    }
    const entry = Buffer.concat([entryHeader(type, found.bytes.length), await compress(found.bytes)])
    sum.update(entry)
    yield entry
  }
  yield sum.digest()
}

/** Three bits of type and the size, four bits in the first byte and seven in each that follows. */
function entryHeader(type: number, size: number): Buffer {
  const bytes = [(type << 4) | (size % 16)]
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes[bytes.length - 1] = (bytes.at(-1) as number) | 0x80
    bytes.push(rest % 128)
  }
  return Buffer.from(bytes)
}

export function failed(what: string, cause: unknown): NodeError {
  const message = `isomorphic-git could not ${what}: ${(cause as Error).message}`
  return new NodeError('GIT_FAILED', message, {}, { cause })
}
