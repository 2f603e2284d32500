import { createWriteStream } from 'node:fs'
import { lstat, mkdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract, type Header } from 'tar-stream'
import { checkFree, diskFull, isDiskFull } from '../../base/disk-space.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import {
  freeLookBytes,
  importBytesMax,
  importEntriesMax,
  pathBytesMax,
  pathDepthMax,
} from '../../base/limits.ts'

export interface UnpackLimits {
  bytesMax: number
  entriesMax: number
  /** Disk space that is left to the node. */
  freeBytesMin: number
}

const LIMITS: UnpackLimits = { bytesMax: importBytesMax, entriesMax: importEntriesMax, freeBytesMin: 0 }

/** What an archive may not write: git's own directory, in the spellings that file systems take for it. */
const GIT_DIRECTORY = /^(?:\.git|git~\d+)[ .]*$/i

/**
 * Unpacks a tar archive of a stranger's making into an empty directory.
 *
 * Only directories, plain files and symbolic links come out, all below the directory. Links are made last, so that
 * nothing is ever written through one, and every file is created anew, so that no entry overwrites another.
 *
 * @throws NodeError INVALID_INPUT when it is not a whole tar archive, PATH_UNSAFE when an entry may not be, TOO_LARGE
 * beyond the limits, DISK_FULL.
 */
export async function unpack(
  archive: AsyncIterable<Uint8Array>,
  directory: string,
  wanted: Partial<UnpackLimits> = {},
): Promise<{ files: number; bytes: number }> {
  const limits = { ...LIMITS, ...wanted }
  const links: { path: string; target: string }[] = []
  let unseen = 0
  let entries = 0
  let bytes = 0
  let files = 0
  const entriesIn = extract()
  // An archive that breaks off leaves its last entry waiting for bytes that never come.
  const broken = new AbortController()
  const reading = pipeline(Readable.from(archive), entriesIn).catch((error: unknown) => {
    broken.abort(error)
    throw error
  })
  const writing = (async () => {
    for await (const entry of entriesIn) {
      const { header } = entry
      entries += 1
      bytes += header.size
      if (entries > limits.entriesMax || bytes > limits.bytesMax) throw tooLarge(limits)
      unseen += header.size
      if (unseen >= freeLookBytes || entries === 1) {
        await checkFree({ place: directory, reserveBytes: limits.freeBytesMin, wantedBytes: header.size })
        unseen = 0
      }
      const path = safePath(header)
      if (path !== '') {
        if (header.type === 'symlink') {
          // A link is a file of its dataset, as git and lists of it count.
          files += 1
          links.push({ path, target: header.linkname })
        } else if (header.type === 'directory') await mkdir(join(directory, path), { recursive: true })
        else {
          files += 1
          await writeFileAnew(entry, join(directory, path), header, broken.signal)
          continue
        }
      }
      entry.resume()
    }
  })()
  try {
    await Promise.all([reading, writing])
    for (const { path, target } of links) {
      await refuseLinkedParents(directory, path)
      await mkdir(dirname(join(directory, path)), { recursive: true })
      await symlink(target, join(directory, path)).catch((error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error
        throw unsafe(path, 'it is a link, and something else has its name or would lie behind it')
      })
    }
  } catch (cause) {
    // The two halves fail each other; neither is left running over the directory that is about to be removed.
    entriesIn.destroy()
    await Promise.allSettled([reading, writing])
    if (cause instanceof NodeError) throw cause
    const reason = cause instanceof Error && cause.name === 'AbortError' ? broken.signal.reason : cause
    if (isDiskFull(reason)) throw diskFull(directory, cause)
    const twice = ['EEXIST', 'ENOTDIR', 'EISDIR'].includes(codeOf(reason))
    // Where it is unpacked to concerns nobody else.
    const words = messageOf(reason).replaceAll(join(directory, '/'), '')
    const message = `The archive cannot be unpacked: ${twice ? 'two of its entries have one name, ' : ''}${words}`
    throw new NodeError('INVALID_INPUT', message, {}, { cause })
  }
  return { files, bytes }
}

async function writeFileAnew(
  content: AsyncIterable<unknown>,
  path: string,
  header: Header,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  // Only whether a file can be executed is kept, as git does.
  const mode = (header.mode & 0o111) === 0 ? 0o644 : 0o755
  await pipeline(content, createWriteStream(path, { flags: 'wx', mode }), { signal })
}

/** A link made before may stand where this link's parent should be. */
async function refuseLinkedParents(directory: string, path: string): Promise<void> {
  let parent = directory
  for (const part of path.split('/').slice(0, -1)) {
    parent = join(parent, part)
    const found = await lstat(parent).catch(ignoreAbsence)
    if (found === undefined) return
    if (found.isSymbolicLink()) throw unsafe(path, 'it leads through a link')
  }
}

function ignoreAbsence(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** The entry's path below the directory; empty for the directory itself. */
function safePath(header: Header): string {
  const { name, type } = header
  if (type !== 'file' && type !== 'contiguous-file' && type !== 'directory' && type !== 'symlink') {
    throw unsafe(name, `a ${type} entry cannot be part of a dataset`)
  }
  if (name.startsWith('/') || name.includes('\\') || name.includes('\0'))
    throw unsafe(name, 'it is not relative')
  if (Buffer.byteLength(name) > pathBytesMax)
    throw unsafe(name.slice(0, 100), `it has over ${pathBytesMax} bytes`)
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) throw unsafe(name, 'it leads out of the archive')
  if (parts.length > pathDepthMax) throw unsafe(name, `it is over ${pathDepthMax} directories deep`)
  if (parts.some((part) => GIT_DIRECTORY.test(part))) throw unsafe(name, 'git keeps that name to itself')
  return parts.join('/')
}

function unsafe(path: string, reason: string): NodeError {
  return new NodeError('PATH_UNSAFE', `The archive may not hold ${path}: ${reason}`, { path })
}

function tooLarge({ bytesMax, entriesMax }: UnpackLimits): NodeError {
  const message = `The archive holds more than ${entriesMax} entries or ${bytesMax} bytes`
  return new NodeError('TOO_LARGE', message, { bytesMax, entriesMax })
}
