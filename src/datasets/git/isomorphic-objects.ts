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

export function failed(what: string, cause: unknown): NodeError {
  const message = `isomorphic-git could not ${what}: ${(cause as Error).message}`
  return new NodeError('GIT_FAILED', message, {}, { cause })
}
