/** The methods that look into files: which files, what is wrong with one, and what several versions of one come to. */
import { NodeError } from '../../base/errors.ts'
import type { EntryMethod, FileMerge, FileVersions, MergeSource } from './file-merge.ts'

/** Whether the method looks into a file of this path. */
export function isEntryFile(_method: EntryMethod, _path: string): boolean {
  return false
}

/** Why a version of a file cannot be counted, for people; undefined when it can. */
export function inspectFile(_method: EntryMethod, _path: string, _bytes: Uint8Array): string | undefined {
  return undefined
}

/** What the versions of one file come to. @throws NodeError when a version cannot be read. */
export async function mergeFile(
  method: EntryMethod,
  { path }: FileVersions,
  _source: MergeSource,
): Promise<FileMerge> {
  throw new NodeError('UNSUPPORTED', `Method ${method.name} does not look into ${path}`)
}
