import { NodeError } from '../../base/errors.ts'
import { nearestName } from '../../base/nearest-name.ts'
import type { Repository, TreeEntryView, TreeFile } from '../git/repository.ts'

export type EntryType = 'file' | 'executable' | 'link' | 'directory'

export interface ListedEntry {
  /** From the top of the tree. */
  readonly path: string
  readonly type: EntryType
  readonly oid: string
  /** Bytes; a directory has none of its own. */
  readonly size?: number
}

export interface Listing {
  readonly entries: readonly ListedEntry[]
  /** Of all pages together. */
  readonly total: number
  /** What the next page comes after; absent on the last one. */
  readonly next?: string
}

export interface ListingOptions {
  readonly path: string
  /** All files below, and no directories. */
  readonly recursive: boolean
  /** A path from the page before. */
  readonly after?: string
  readonly limit: number
}

type Tree = Pick<Repository, 'listDirectory' | 'listFiles' | 'entryAt' | 'fileSizes'>

/**
 * A page of a directory, or of all files below it, in git's order. A file is a listing of itself.
 *
 * @throws NodeError COMMIT_NOT_FOUND, NOT_FOUND, PATH_UNSAFE.
 */
export async function list(tree: Tree, commit: string, options: ListingOptions): Promise<Listing> {
  const { path, recursive, limit } = options
  const top = await entryIn(tree, commit, path)
  if (top.mode !== '040000') return { entries: [listed(path, top)], total: 1 }
  const all: readonly (TreeFile & { size?: number })[] = recursive
    ? filesBelow(await tree.listFiles(commit), path)
    : (await tree.listDirectory(commit, path)).map(
        (entry) => ({ ...entry, path: join(path, entry.name) }) as TreeFile,
      )
  const start = startAfter(all, options.after)
  const page = all.slice(start, start + limit)
  const sizes = recursive ? await tree.fileSizes(page.map(({ oid }) => oid)) : undefined
  const entries = page.map((entry) => {
    const size = entry.size ?? sizes?.get(entry.oid)
    return listed(entry.path, { ...entry, ...(size === undefined ? {} : { size }) })
  })
  const last = start + limit < all.length ? entries.at(-1)?.path : undefined
  return { entries, total: all.length, ...(last === undefined ? {} : { next: last }) }
}

/** @throws NodeError COMMIT_NOT_FOUND, PATH_UNSAFE, NOT_FOUND with the name that was most likely meant. */
export async function entryIn(
  tree: Pick<Repository, 'listDirectory' | 'entryAt'>,
  commit: string,
  path: string,
): Promise<TreeEntryView> {
  const found = await tree.entryAt(commit, path)
  if (found !== undefined) return found
  const shown = JSON.stringify(path.slice(0, 200))
  const near = await nearestPath(tree, commit, path)
  const hint = near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`
  throw new NodeError('NOT_FOUND', `There is no ${shown} at commit ${commit.slice(0, 10)}${hint}`, {
    commit,
    path,
    ...(near === undefined ? {} : { near }),
  })
}

export function typeOf(mode: TreeEntryView['mode']): EntryType {
  if (mode === '040000') return 'directory'
  if (mode === '120000') return 'link'
  return mode === '100755' ? 'executable' : 'file'
}

/** Those of a whole tree's files that lie below a directory, or are the path itself. Pure. */
export function filesBelow<T extends { readonly path: string }>(files: readonly T[], path: string): T[] {
  if (path === '') return [...files]
  return files.filter((file) => file.path === path || file.path.startsWith(`${path}/`))
}

function listed(
  path: string,
  { mode, oid, size }: { mode: TreeEntryView['mode']; oid: string; size?: number },
) {
  return { path, type: typeOf(mode), oid, ...(size === undefined ? {} : { size }) }
}

function join(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`
}

/** A page may come after a path that has gone since; it then begins where that would stand among the others. */
function startAfter(entries: readonly { readonly path: string }[], after: string | undefined): number {
  if (after === undefined) return 0
  const exact = entries.findIndex(({ path }) => path === after)
  if (exact !== -1) return exact + 1
  const next = entries.findIndex(({ path }) => Buffer.compare(Buffer.from(path), Buffer.from(after)) > 0)
  return next === -1 ? entries.length : next
}

async function nearestPath(
  tree: Pick<Repository, 'listDirectory' | 'entryAt'>,
  commit: string,
  path: string,
): Promise<string | undefined> {
  const slash = path.lastIndexOf('/')
  const [directory, name] = [path.slice(0, Math.max(0, slash)), path.slice(slash + 1)]
  const holder = await tree.entryAt(commit, directory)
  if (holder?.mode !== '040000') return undefined
  const names = (await tree.listDirectory(commit, directory)).map((entry) => entry.name)
  // Of a directory with thousands of names, somebody who mistypes one knows more than we can guess.
  const near = names.length > 1_000 ? undefined : nearestName(name, names)
  return near === undefined ? undefined : join(directory, near)
}
