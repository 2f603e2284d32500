/** Looking at single directories and files of a repository without the git program. */
import { checkRange, noFile, notADirectory } from './browse-faults.ts'
import { checkOid, DIRECTORY_MODE, decodeCommit, decodeTree, type TreeEntry } from './git-objects.ts'
import type { ObjectReader } from './isomorphic-objects.ts'
import { checkPath } from './path-rules.ts'
import type { ByteRange, OnFile, OpenBlob, TreeEntryView } from './repository.ts'

const CHUNK_BYTES = 65_536

export async function listDirectory(
  reader: ObjectReader,
  commit: string,
  path: string,
): Promise<TreeEntryView[]> {
  const directory = await find(reader, commit, path)
  if (directory?.mode !== DIRECTORY_MODE) throw notADirectory(commit, path)
  const views: TreeEntryView[] = []
  for (const entry of decodeTree(directory.oid, await reader.read(directory.oid, 'tree'))) {
    views.push(await view(reader, entry))
  }
  return views
}

export async function entryAt(
  reader: ObjectReader,
  commit: string,
  path: string,
): Promise<TreeEntryView | undefined> {
  const entry = await find(reader, commit, path)
  return entry === undefined ? undefined : view(reader, entry)
}

export async function openBlob(reader: ObjectReader, oid: string, range?: ByteRange): Promise<OpenBlob> {
  checkOid(oid)
  if (range !== undefined) checkRange(range)
  const found = await reader.find(oid)
  if (found?.type !== 'blob') throw noFile(oid)
  const { bytes } = found
  return { size: bytes.length, content: pieces(bytes.subarray(range?.start ?? 0, range?.end)) }
}

export async function fileSizes(
  reader: ObjectReader,
  oids: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>()
  for (const oid of new Set(oids.map(checkOid))) {
    const found = await reader.info(oid)
    if (found?.type === 'blob') sizes.set(oid, found.size)
  }
  return sizes
}

export async function readFiles(
  reader: ObjectReader,
  oids: readonly string[],
  onFile: OnFile,
  signal?: AbortSignal,
): Promise<void> {
  for (const [index, oid] of oids.entries()) {
    signal?.throwIfAborted()
    await onFile(index, (await openBlob(reader, oid)).content)
  }
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES)
}

async function find(reader: ObjectReader, commit: string, path: string): Promise<TreeEntry | undefined> {
  const { tree } = decodeCommit(commit, await reader.read(commit, 'commit'))
  let found: TreeEntry | undefined = { name: '', mode: DIRECTORY_MODE, oid: tree }
  if (path === '') return found
  checkPath(path)
  for (const name of path.split('/')) {
    if (found.mode !== DIRECTORY_MODE) return undefined
    const entries = decodeTree(found.oid, await reader.read(found.oid, 'tree'))
    found = entries.find((entry) => entry.name === name)
    if (found === undefined) return undefined
  }
  return found
}

async function view(reader: ObjectReader, { mode, name, oid }: TreeEntry): Promise<TreeEntryView> {
  if (mode === DIRECTORY_MODE) return { name, mode: '040000', oid }
  const found = await reader.info(oid)
  return found === undefined ? { name, mode, oid } : { name, mode, oid, size: found.size }
}
