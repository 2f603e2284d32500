/**
 * Directories as archives, as Docker takes and gives them. What comes back was written by a tool that nobody trusts,
 * under the eyes of an engine that may be another machine's: nothing of it may come to lie elsewhere, or be more than is
 * allowed. Links stay within their directory, and nothing is ever written through one, since only directories that were
 * made here are written into.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { link, lstat, mkdir, opendir, readlink, rm, symlink } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract, type Header, type Pack, pack } from 'tar-stream'
import { NodeError } from '../../base/errors.ts'
import { archivePathBytesMax, treeEntriesMax } from '../../base/limits.ts'
import { removeTree } from '../../base/remove-tree.ts'

/** Permissions of what comes back: the node's own, whatever the tool's user was. */
const DIRECTORY_MODE = 0o755
const FILE_MODE = 0o644
const EXECUTABLE_MODE = 0o755
const EXECUTABLE = 0o111
const PERMISSIONS = 0o7777

/** Files and directories of this machine, and the paths that they get in an archive. */
export interface Packed {
  readonly source: string
  readonly path: string
}

/** One archive of all of them, with owners and modes, made while it is read. Sockets, pipes and devices stay behind. */
export function packAll(all: readonly Packed[]): Readable {
  const archive = pack()
  const packing = async () => {
    for (const { source, path } of all) await packOne(archive, source, path.replace(/^\/+/, ''))
    archive.finalize()
  }
  packing().catch((error: unknown) => {
    archive.destroy(error instanceof Error ? error : new Error(String(error)))
  })
  return Readable.from(archive)
}

async function packOne(archive: Pack, source: string, name: string): Promise<void> {
  const found = await lstat(source)
  const { uid, gid, size, mtime } = found
  const header = { name, mode: found.mode & PERMISSIONS, uid, gid, mtime }
  if (found.isSymbolicLink()) {
    return packEntry(archive, { ...header, type: 'symlink', linkname: await readlink(source) })
  }
  if (found.isFile()) {
    const sink = archive.entry({ ...header, type: 'file', size })
    // Read no further than it was long when the header was written; one that shrank meanwhile fails the archive.
    return pipeline(size === 0 ? Readable.from([]) : createReadStream(source, { end: size - 1 }), sink)
  }
  if (!found.isDirectory()) return
  await packEntry(archive, { ...header, type: 'directory' })
  for await (const child of await opendir(source)) {
    await packOne(archive, join(source, child.name), posix.join(name, child.name))
  }
}

function packEntry(archive: Pack, header: Partial<Header> & { name: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    archive.entry(header, (error?: Error | null) => (error ? reject(error) : resolve()))
  })
}

/** What an archive may still hold; counts down over all archives of one step. */
export interface Allowance {
  bytes: number
  entries: number
}

export function allowance(bytes: number): Allowance {
  return { bytes, entries: treeEntriesMax }
}

/**
 * Replaces what `destination` (a directory or a file) holds by an archive whose entries all lie below one root, as the
 * engine packs them.
 *
 * @throws NodeError PATH_UNSAFE for an entry that would lie elsewhere, leads elsewhere, or is no file, directory or
 * link; TOO_LARGE when the allowance is used up, before more is written.
 */
export async function unpackOver(
  archive: Readable,
  destination: string,
  allowed: Allowance,
  signal: AbortSignal,
): Promise<void> {
  const isDirectory = (await lstat(destination)).isDirectory()
  if (isDirectory) await empty(destination)
  else await rm(destination)
  const entriesIn = extract()
  // An archive that breaks off leaves its last entry waiting for bytes that never come.
  const broken = new AbortController()
  const until = AbortSignal.any([signal, broken.signal])
  const reading = pipeline(archive, entriesIn, { signal: until }).catch((error: unknown) => {
    broken.abort(error)
    throw error
  })
  const unpacked = { directories: new Set(isDirectory ? [''] : []), files: new Set<string>() }
  const writing = (async () => {
    for await (const entry of entriesIn) {
      const wrote = await unpackOne(entry, destination, unpacked, allowed, until)
      if (!wrote) entry.resume()
    }
  })()
  try {
    await Promise.all([reading, writing])
  } catch (error) {
    // The two halves fail each other; neither is left running.
    entriesIn.destroy()
    archive.destroy()
    broken.abort(error)
    await Promise.allSettled([reading, writing])
    signal.throwIfAborted()
    throw error
  }
}

interface Unpacked {
  readonly directories: Set<string>
  readonly files: Set<string>
}

/** @returns whether the content was read. */
async function unpackOne(
  entry: AsyncIterable<unknown> & { header: Header },
  destination: string,
  unpacked: Unpacked,
  allowed: Allowance,
  signal: AbortSignal,
): Promise<boolean> {
  const { name, type, size, mode } = entry.header
  const linkname = entry.header.linkname ?? ''
  const isFile = type === 'file' || type === 'contiguous-file'
  spend(allowed, isFile ? size : 0)
  const path = withinRoot(name)
  if (path === '' && unpacked.directories.has('')) {
    if (type === 'directory') return false
    throw unsafe(name, 'it takes the place of its directory')
  }
  const place = path === '' ? destination : join(destination, path)
  const parent = path.includes('/') ? dirname(path) : ''
  if (path !== '' && !unpacked.directories.has(parent)) {
    throw unsafe(name, 'its directory was not in the archive before it')
  }
  if (isFile) {
    const permissions = (mode & EXECUTABLE) === 0 ? FILE_MODE : EXECUTABLE_MODE
    await pipeline(entry, createWriteStream(place, { flags: 'wx', mode: permissions }), { signal })
    unpacked.files.add(path)
    return true
  }
  if (type === 'directory') {
    await mkdir(place, { mode: DIRECTORY_MODE })
    unpacked.directories.add(path)
  } else if (type === 'symlink') {
    if (!staysWithin(parent, linkname))
      throw unsafe(name, `it is a link to ${linkname}, which lies elsewhere`)
    await symlink(linkname, place)
  } else if (type === 'link') {
    const target = withinRoot(linkname)
    if (!unpacked.files.has(target)) throw unsafe(name, 'it is a link to a file that is not there')
    await link(join(destination, target), place)
  } else throw unsafe(name, `it is a ${type ?? 'thing of an unknown kind'}, which no dataset holds`)
  return false
}

/**
 * Whether a link leads nowhere but into its own directory, whatever other such links lie on its way: it goes up first
 * and never after it went down, where a directory's name may be a link's. Pure.
 */
export function staysWithin(parent: string, target: string): boolean {
  const parts = target.split('/').filter((part) => part !== '' && part !== '.')
  const ups = parts.findIndex((part) => part !== '..')
  const up = ups < 0 ? parts.length : ups
  const depth = parent === '' ? 0 : parent.split('/').length
  return !target.startsWith('/') && up <= depth && !parts.slice(up).includes('..')
}

/** The path below the one root of the archive. */
function withinRoot(name: string): string {
  if (Buffer.byteLength(name) > archivePathBytesMax) throw unsafe(name.slice(0, 80), 'its path is too long')
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (name.startsWith('/') || name.includes('\0') || parts.includes('..')) {
    throw unsafe(name, 'it would lie outside of its directory')
  }
  return parts.slice(1).join('/')
}

function spend(allowed: Allowance, bytes: number): void {
  allowed.bytes -= bytes
  allowed.entries -= 1
  if (allowed.bytes < 0) {
    throw new NodeError(
      'TOO_LARGE',
      'the output holds more bytes than this node allows (setting execution.outputBytes)',
    )
  }
  if (allowed.entries < 0) {
    const message = `the output holds more than ${treeEntriesMax} files and directories, which no dataset takes`
    throw new NodeError('TOO_LARGE', message, { entriesMax: treeEntriesMax })
  }
}

function unsafe(name: string, why: string): NodeError {
  return new NodeError('PATH_UNSAFE', `The output cannot be brought here: ${JSON.stringify(name)}: ${why}`, {
    name,
  })
}

async function empty(directory: string): Promise<void> {
  for await (const child of await opendir(directory)) await removeTree(join(directory, child.name))
}
