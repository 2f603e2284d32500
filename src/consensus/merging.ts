/**
 * The files of one counting in which a method looks for entries: read from the repository, merged (methods/), and stored
 * as new files. One version is held at a time; what does not fit into memory goes into a directory beside the repository.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { NodeError } from '../base/errors.ts'
import { ballotEntryBytesMax, entryFileBytesMax } from '../base/limits-consensus.ts'
import { objectId } from '../datasets/git/git-objects.ts'
import type { Repository, TreeFile } from '../datasets/git/repository.ts'
import type { Method } from '../datasets/truth-rule.ts'
import { inspectFile, isEntryFile, mergeFile } from './methods/entry-methods.ts'
import type { EntryMethod, FileMerge, FileVersions } from './methods/file-merge.ts'
import { type Count, contestedPaths, type MergedFile } from './tally.ts'

const PREFIX = 'merging-'

/** Directories that this process is using; whatever else is named like them is left from one that was killed. */
const inUse = new Set<string>()

export function looksInto(method: Method): method is EntryMethod {
  return (
    method.name !== 'identical' &&
    method.name !== 'strangeness' &&
    !(method.name === 'weighted' && !method.key)
  )
}

/**
 * Why the method cannot count a commit's files, the first reason by path; undefined when it can.
 *
 * @throws NodeError when a file cannot be read now.
 */
export async function inspectFiles(
  repository: Repository,
  method: Method,
  files: readonly TreeFile[],
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!looksInto(method)) return undefined
  const own = files.filter(({ path }) => isEntryFile(method, path))
  const sizes = await repository.fileSizes(own.map(({ oid }) => oid))
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  if (total > ballotEntryBytesMax)
    return `its files with entries have ${total} bytes; ${ballotEntryBytesMax} are looked into`
  for (const { path, mode, oid } of own) {
    signal.throwIfAborted()
    if (mode === '120000') return `${path} is a link where a file with entries is due`
    const size = sizes.get(oid) ?? 0
    if (size > entryFileBytesMax)
      return `${path} has ${size} bytes; entries are compared in up to ${entryFileBytesMax}`
    const reason = await inspectFile(method, path, await repository.readBlob(oid), signal)
    if (reason !== undefined) return `${path}: ${reason}`
  }
  return undefined
}

export interface MergingParts {
  readonly repository: Repository
  readonly method: EntryMethod
  readonly weights?: ReadonlyMap<string, number>
  readonly signal: AbortSignal
}

/** Merges every contested file that the method looks into. @throws NodeError when a version cannot be read now. */
export async function mergeFiles(
  count: Count,
  parent: readonly TreeFile[],
  parts: MergingParts,
): Promise<MergedFile[]> {
  const { method, repository } = parts
  const before = new Map(parent.map((file) => [file.path, file]))
  const paths = contestedPaths(count).filter((path) => isEntryFile(method, path))
  if (paths.length === 0) return []
  await sweep(repository.path)
  const merged: MergedFile[] = []
  for (const path of paths) {
    parts.signal.throwIfAborted()
    const own = before.get(path)
    const truth = own !== undefined && (await isReadable(repository, own)) ? own.oid : undefined
    const versions = versionsOf(path, count, truth, parts.weights)
    if (versions === undefined) continue
    const merge = await inScratch(repository.path, (scratch) =>
      mergeFile(method, versions, {
        read: (oid) => readBounded(repository, path, oid),
        scratch: () => scratch('runs'),
        signal: parts.signal,
      }),
    )
    const { bytes: _, ...report } = merge
    const file = await stored(repository, path, modeOf(path, count, own), merge)
    const isAgreed = merge.contested.count === 0 && merge.whole === undefined
    merged.push({ path, verdict: file ?? (isAgreed ? (own ?? 'absent') : 'contested'), merge: report })
  }
  return merged
}

/** Undefined where a member has a link there: links hold no entries. */
function versionsOf(
  path: string,
  { held }: Count,
  parent: string | undefined,
  weights: MergingParts['weights'],
): FileVersions | undefined {
  const files = [...held].map(([peer, own]) => [peer, own.get(path)] as const)
  if (files.some(([, file]) => file?.mode === '120000')) return undefined
  const sorted = files.sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    path,
    parent,
    ballots: new Map(sorted.map(([peer, file]) => [peer, file?.oid])),
    ...(weights && { weights }),
  }
}

/** A truth that is a link, or larger than what entries are looked for in, is one without entries (methods.md [T11]). */
async function isReadable(repository: Repository, { mode, oid }: TreeFile): Promise<boolean> {
  if (mode === '120000') return false
  return ((await repository.fileSizes([oid])).get(oid) ?? 0) <= entryFileBytesMax
}

/** Executable where more than half of those who have the file have it so, else where the truth has it so. */
function modeOf(path: string, { held }: Count, parent: TreeFile | undefined): TreeFile['mode'] {
  const modes = [...held.values()].map((files) => files.get(path)?.mode).filter((mode) => mode !== undefined)
  for (const mode of ['100644', '100755'] as const) {
    if (2 * modes.filter((one) => one === mode).length > modes.length) return mode
  }
  return parent?.mode === '100755' ? '100755' : '100644'
}

async function stored(
  repository: Repository,
  path: string,
  mode: TreeFile['mode'],
  { bytes, changed }: FileMerge,
): Promise<TreeFile | undefined> {
  // A result that nobody could look into again would end the comparing of entries.
  if (bytes === undefined || !changed || bytes.length > entryFileBytesMax) return undefined
  return { path, mode, oid: await storeFile(repository, bytes) }
}

/** Puts a file into the repository, where nothing names it yet. @returns its id. */
export async function storeFile(repository: Repository, bytes: Uint8Array): Promise<string> {
  await storeFiles(repository, [bytes])
  return objectId('blob', bytes)
}

/**
 * Puts files into the repository, which takes them from a directory; of one that a kill leaves behind, the next call
 * removes the rest.
 */
export async function storeFiles(repository: Repository, files: Iterable<Uint8Array>): Promise<void> {
  await sweep(repository.path)
  await inScratch(repository.path, async (scratch) => {
    const directory = await scratch('files')
    let count = 0
    for (const bytes of files) {
      await writeFile(join(directory, `${count}`), bytes)
      count += 1
    }
    await repository.writeTreeFromDirectory(directory)
  })
}

/** @throws NodeError TOO_LARGE, NOT_FOUND */
export async function readBounded(repository: Repository, path: string, oid: string): Promise<Uint8Array> {
  const size = (await repository.fileSizes([oid])).get(oid) ?? 0
  if (size <= entryFileBytesMax) return repository.readBlob(oid)
  throw new NodeError(
    'TOO_LARGE',
    `${path} has ${size} bytes; entries are compared in up to ${entryFileBytesMax}`,
  )
}

async function inScratch<T>(
  repositoryPath: string,
  work: (scratch: (name: string) => Promise<string>) => Promise<T>,
): Promise<T> {
  const name = `${PREFIX}${randomUUID()}`
  const directory = join(repositoryPath, name)
  inUse.add(name)
  try {
    return await work(async (part) => {
      const path = join(directory, part)
      await mkdir(path, { recursive: true, mode: 0o700 })
      return path
    })
  } finally {
    await rm(directory, { recursive: true, force: true })
    inUse.delete(name)
  }
}

/** Removes what a process left that was killed while it merged. */
async function sweep(repositoryPath: string): Promise<void> {
  for (const name of await readdir(repositoryPath)) {
    if (!name.startsWith(PREFIX) || inUse.has(name)) continue
    await rm(join(repositoryPath, name), { recursive: true, force: true })
  }
}
