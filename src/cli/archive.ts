import { createReadStream } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { pack } from 'tar-stream'
import { NodeError } from '../base/errors.ts'
import { reasonOf } from './files.ts'

export interface Archive {
  bytes: ReadableStream<Uint8Array>
  /** How many files went in so far, links among them, what was left out, and the directories that hold nothing. */
  readonly told: { files: number; leftOut: string[]; empty: string[] }
}

/**
 * The files of a directory as a tar archive that is made while it is read. Symbolic links are packed as links; `.git`
 * directories are left out, since a dataset has its own history.
 *
 * @throws NodeError INVALID_INPUT, from the stream, when something can be neither packed nor left out.
 */
export async function archiveOf(directory: string): Promise<Archive> {
  const entry = await statOf(directory)
  if (!entry.isDirectory()) throw new NodeError('INVALID_INPUT', `${directory} is not a directory`)
  const told = { files: 0, leftOut: [] as string[], empty: [] as string[] }
  const archive = pack()
  const filling = fill(directory).then(
    () => archive.finalize(),
    (error: unknown) => archive.destroy(error instanceof Error ? error : new Error(String(error))),
  )

  async function fill(root: string, below = ''): Promise<void> {
    const names = (await namesIn(join(root, below))).sort()
    if (names.length === 0 && below !== '') told.empty.push(below)
    for (const name of names) {
      const path = below === '' ? name : `${below}/${name}`
      const at = join(root, path)
      const found = await statOf(at)
      if (name === '.git') told.leftOut.push(path)
      else if (found.isDirectory()) await fill(root, path)
      else if (found.isSymbolicLink()) {
        await write({ name: path, type: 'symlink', linkname: await readlink(at) })
        told.files += 1
      } else if (found.isFile()) {
        const sink = archive.entry({
          name: path,
          size: found.size,
          mode: found.mode & 0o777,
          mtime: found.mtime,
        })
        try {
          await pipeline(createReadStream(at, { end: Math.max(found.size - 1, 0) }), sink)
        } catch (cause) {
          throw unreadable(at, cause)
        }
        told.files += 1
      } else
        throw new NodeError(
          'INVALID_INPUT',
          `${at} is neither a file, a directory nor a link; move it away first`,
          { path },
        )
    }
  }

  function write(header: { name: string; type: 'symlink'; linkname: string }): Promise<void> {
    return new Promise((resolve, reject) => {
      archive.entry(header, (error) => (error ? reject(error) : resolve()))
    })
  }

  async function* chunks(): AsyncGenerator<Uint8Array> {
    for await (const chunk of archive) if (chunk instanceof Uint8Array) yield chunk
    await filling
  }
  return { bytes: ReadableStream.from(chunks()), told }
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path)
  } catch (cause) {
    throw unreadable(path, cause)
  }
}

async function statOf(path: string) {
  try {
    return await lstat(path)
  } catch (cause) {
    throw unreadable(path, cause)
  }
}

function unreadable(path: string, cause: unknown): NodeError {
  return new NodeError('INVALID_INPUT', `${path} cannot be read: ${reasonOf(cause)}`, { path }, { cause })
}
