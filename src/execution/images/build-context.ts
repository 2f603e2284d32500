/** The files that a build is made of: taken in as a stranger's archive is, told by a digest, and handed to the engine. */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import dockerignore from '@balena/dockerignore'
import { pack } from 'tar-stream'
import { messageOf, NodeError } from '../../base/errors.ts'
import { dockerfileBytesMax } from '../../base/limits.ts'
import { unpack } from '../../datasets/founding/unpack.ts'

const IGNORE_FILE = '.dockerignore'

export interface ContextLimits {
  readonly bytesMax: number
  readonly entriesMax: number
  readonly freeBytesMin: number
}

/**
 * Unpacks an archive into an empty directory, which is gone again where that fails.
 *
 * @throws NodeError INVALID_INPUT, PATH_UNSAFE, TOO_LARGE, DISK_FULL.
 */
export async function takeContext(
  archive: AsyncIterable<Uint8Array>,
  directory: string,
  limits: ContextLimits,
): Promise<{ files: number; bytes: number }> {
  try {
    const taken = await unpack(archive, directory, limits)
    if (taken.files > 0) return taken
    throw new NodeError(
      'INVALID_INPUT',
      'There is no file to build from; give a directory with a Dockerfile and what it copies',
    )
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

/** Every file and link below, with slashes, in one order on every machine. */
export async function contextFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort()
}

/** SHA-256 over the names, modes and contents of all files: the same files have the same, however they were packed. */
export async function contextSha256(directory: string, files: readonly string[]): Promise<string> {
  const whole = createHash('sha256')
  for (const file of files) {
    const path = join(directory, file)
    const { mode, size, isLink } = await lookAt(path)
    const kind = isLink ? 'link' : (mode & 0o111) === 0 ? 'file' : 'executable'
    const content = createHash('sha256')
    if (isLink) content.update(await readlink(path))
    else await hashFile(path, content)
    whole.update(`${kind} ${isLink ? 0 : size} ${content.digest('hex')} ${file}\0`)
  }
  return whole.digest('hex')
}

async function hashFile(path: string, hash: Hash): Promise<void> {
  for await (const chunk of createReadStream(path)) hash.update(chunk)
}

/** @throws NodeError INVALID_INPUT where it is not there, or no plain file. */
export async function readDockerfile(directory: string, path: string): Promise<string> {
  const at = join(directory, path)
  try {
    // Through no link: it could lead out of the context.
    for (let parent = at; parent.length > directory.length; parent = join(parent, '..')) {
      if ((await lstat(parent)).isSymbolicLink()) throw new Error('it is, or leads through, a link')
    }
    const { size } = await lstat(at)
    if (size > dockerfileBytesMax) throw new Error(`it has more than ${dockerfileBytesMax} bytes`)
    return await readFile(at, 'utf8')
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    const why = missing ? 'there is none' : messageOf(cause)
    const message = `The Dockerfile ${path} cannot be read: ${why}; name another one with --file`
    throw new NodeError('INVALID_INPUT', message, { dockerfile: path }, { cause })
  }
}

/**
 * What the engine gets of the files: all but those that `.dockerignore` leaves out. The Dockerfile and `.dockerignore` itself
 * always go along, as Docker's own client sends them; the engine then keeps them from the image where they are left out.
 *
 * @throws NodeError INVALID_INPUT where `.dockerignore` is a link.
 */
export async function wantedFiles(directory: string, dockerfile: string): Promise<string[]> {
  const files = await contextFiles(directory)
  if (!files.includes(IGNORE_FILE)) return files
  const path = join(directory, IGNORE_FILE)
  const { size } = await lstat(path)
  if (!(await lstat(path)).isFile() || size > dockerfileBytesMax) {
    throw new NodeError(
      'INVALID_INPUT',
      `${IGNORE_FILE} is no plain file of at most ${dockerfileBytesMax} bytes`,
    )
  }
  // CommonJS, whose types speak of its default export alone.
  const rules = dockerignore.default({ ignorecase: false }).add(await readFile(path, 'utf8'))
  const always = new Set([IGNORE_FILE, dockerfile])
  return files.filter((file) => always.has(file) || !rules.ignores(file))
}

/** The files as a tar archive that is made while it is read; modes are kept, owners and times are nobody's. */
export function packFiles(directory: string, files: readonly string[]): Readable {
  const archive = pack()
  const filling = async () => {
    for (const name of files) {
      const path = join(directory, name)
      const { mode, size, isLink } = await lookAt(path)
      const header = { name, mode: mode & 0o777, uid: 0, gid: 0, mtime: new Date(0) }
      if (isLink) {
        const linkname = await readlink(path)
        await new Promise<void>((resolve, reject) => {
          archive.entry({ ...header, type: 'symlink', linkname }, (error) =>
            error ? reject(error) : resolve(),
          )
        })
      } else await pipeline(createReadStream(path), archive.entry({ ...header, size }))
    }
    archive.finalize()
  }
  filling().catch((error: unknown) => {
    archive.destroy(error instanceof Error ? error : new Error(String(error)))
  })
  return Readable.from(archive)
}

async function lookAt(path: string): Promise<{ mode: number; size: number; isLink: boolean }> {
  const found = await lstat(path)
  return { mode: found.mode, size: found.size, isLink: found.isSymbolicLink() }
}
