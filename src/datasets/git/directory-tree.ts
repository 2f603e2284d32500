/**
 * Trees between git and a directory of the file system. What is read was written by a tool, what is written was made
 * by a peer: neither may lead out of its directory.
 */
import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, readlink, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { NodeError } from '../../base/errors.ts'
import { filesLookedAtOnceMax, pathBytesMax, treeEntriesMax } from '../../base/limits.ts'
import { checkLink, checkPath, unsafePath } from './path-rules.ts'
import type { FileMode, TreeFile } from './repository.ts'

export interface FoundFile {
  /** From the top of the directory, parts joined by `/`. */
  readonly path: string
  readonly mode: FileMode
  /** Bytes, of a link those of its target. */
  readonly size: number
  /** Where a symbolic link points to. */
  readonly target?: string
}

/** Hands out the contents of blobs in the order asked for; each is to be read before the next comes. */
export type ReadBlobs = (
  oids: readonly string[],
  onBlob: (index: number, content: AsyncIterable<Uint8Array>) => Promise<void>,
) => Promise<void>

/**
 * Every file below `directory`. Links are told, not followed; empty directories are left out, as git does.
 *
 * @throws NodeError PATH_UNSAFE for a name, a link or a kind of file that a dataset does not hold, INVALID_INPUT when
 * there is no such directory, TOO_LARGE above `treeEntriesMax` files.
 */
export async function findFiles(directory: string): Promise<FoundFile[]> {
  const found: FoundFile[] = []
  const pending = ['']
  for (let inner = pending.pop(); inner !== undefined; inner = pending.pop()) {
    const files: string[] = []
    for (const entry of await entriesOf(directory, inner)) {
      const path = inner === '' ? entry.name : `${inner}/${entry.name}`
      checkPath(path)
      if (entry.isDirectory()) pending.push(path)
      else files.push(path)
    }
    for (let at = 0; at < files.length; at += filesLookedAtOnceMax) {
      const group = files.slice(at, at + filesLookedAtOnceMax)
      found.push(...(await Promise.all(group.map((path) => describe(directory, path)))))
    }
    if (found.length + pending.length > treeEntriesMax) {
      throw new NodeError('TOO_LARGE', `${directory} holds more than ${treeEntriesMax} entries`, {
        directory,
      })
    }
  }
  return found
}

async function entriesOf(directory: string, inner: string) {
  try {
    return await readdir(join(directory, inner), { withFileTypes: true })
  } catch (cause) {
    const message = `The directory ${join(directory, inner)} cannot be read: ${(cause as Error).message}`
    throw new NodeError('INVALID_INPUT', message, { directory }, { cause })
  }
}

async function describe(directory: string, path: string): Promise<FoundFile> {
  const full = join(directory, path)
  const stats = await lstat(full)
  if (stats.isFile()) {
    return { path, mode: (stats.mode & 0o100) === 0 ? '100644' : '100755', size: stats.size }
  }
  if (!stats.isSymbolicLink()) throw unsafePath(path, 'is neither a file nor a directory nor a link')
  const target = await readlink(full)
  checkLink(path, target)
  return { path, mode: '120000', target, size: Buffer.byteLength(target) }
}

/**
 * Writes `files` (whose paths were checked) into `directory`. Links come last and every file is created anew, so no
 * write can pass through a link (dataset-fetch.md D20), even on a file system that takes two names of the tree for one.
 *
 * @throws NodeError PATH_UNSAFE before anything is written, INVALID_INPUT when the directory is not empty.
 */
export async function writeFiles(
  files: readonly TreeFile[],
  directory: string,
  read: ReadBlobs,
): Promise<void> {
  const links = files.filter((file) => file.mode === '120000')
  const targets = await readTargets(links, read)
  await mkdir(directory, { recursive: true })
  if ((await readdir(directory)).length > 0) {
    throw new NodeError('INVALID_INPUT', `${directory} is not empty; a checkout needs an empty directory`, {
      directory,
    })
  }
  for (const path of directoriesOf(files)) await mkdir(join(directory, path))
  const plain = files.filter((file) => file.mode !== '120000')
  await read(
    plain.map((file) => file.oid),
    (index, content) => writeNew(directory, plain[index] as TreeFile, content),
  )
  for (const [index, { path }] of links.entries())
    await symlink(targets[index] as string, join(directory, path))
}

async function readTargets(links: readonly TreeFile[], read: ReadBlobs): Promise<string[]> {
  const targets: string[] = []
  await read(
    links.map((link) => link.oid),
    async (index, content) => {
      const chunks: Uint8Array[] = []
      let bytes = 0
      for await (const chunk of content) {
        bytes += chunk.length
        // Read to the end all the same: the next blob comes behind it.
        if (bytes <= pathBytesMax) chunks.push(chunk)
      }
      const { path } = links[index] as TreeFile
      if (bytes > pathBytesMax) throw unsafePath(path, `is a link of more than ${pathBytesMax} bytes`)
      const target = Buffer.concat(chunks).toString('utf8')
      checkLink(path, target)
      targets[index] = target
    },
  )
  return targets
}

async function writeNew(
  directory: string,
  file: TreeFile,
  content: AsyncIterable<Uint8Array>,
): Promise<void> {
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW
  const handle = await open(join(directory, file.path), flags, file.mode === '100755' ? 0o755 : 0o644)
  try {
    for await (const chunk of content) await handle.writeFile(chunk)
  } finally {
    await handle.close()
  }
}

/** Each directory of the paths, outer ones first. */
function directoriesOf(files: readonly TreeFile[]): string[] {
  const directories = new Set<string>()
  for (const { path } of files) {
    for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1))
      directories.add(path.slice(0, end))
  }
  return [...directories]
}
