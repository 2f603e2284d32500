/** What a raw entry is, and which file it becomes (protocols/gateway.md §2). Everything here is pure. */
import { isName } from '../../base/names.ts'
import { pathFault } from '../../datasets/git/path-rules.ts'
import type { TreeFile } from '../../datasets/git/repository.ts'

export const RAW_PREFIX = '/raw/'
/** Raw entries go to this node's branch `raw-<node>`. */
export const RAW_STEP = 'raw'

/** Where a raw entry is kept: a file of a dataset. */
export interface RawPlace {
  readonly dataset: string
  readonly path: string
}

/**
 * [G4] The first segment below `/raw/` names the dataset, the rest the file: `/raw/packages/npm/left-pad` becomes
 * `npm/left-pad.json` of `packages`, as the predecessor named it. Undefined where the key names no file.
 */
export function placeOf(key: string): RawPlace | undefined {
  if (!key.startsWith(RAW_PREFIX)) return undefined
  const [dataset = '', ...rest] = key.slice(RAW_PREFIX.length).split('/')
  if (rest.length === 0 || !isName(dataset)) return undefined
  const path = `${rest.join('/')}.json`
  return pathFault(path) === undefined ? { dataset, path } : undefined
}

/** [G5] A value that is no JSON becomes a JSON string, so that every file can be read as what its name says. */
export function fileText(value: string): string {
  try {
    JSON.parse(value)
    return value
  } catch {
    return JSON.stringify(value)
  }
}

/**
 * A branch's files with new ones over them. A file cannot be where a directory is, nor the other way round: what is
 * there stays, and what does not fit is told.
 */
export function laidOver(
  present: readonly TreeFile[],
  fresh: readonly TreeFile[],
): { readonly files: TreeFile[]; readonly misfits: string[] } {
  const files = new Map(present.map((file) => [file.path, file]))
  const directories = new Set(present.flatMap(({ path }) => parentsOf(path)))
  const misfits: string[] = []
  for (const file of fresh) {
    const parents = parentsOf(file.path)
    if (directories.has(file.path) || parents.some((parent) => files.has(parent))) {
      misfits.push(file.path)
      continue
    }
    files.set(file.path, file)
    for (const parent of parents) directories.add(parent)
  }
  return { files: [...files.values()], misfits }
}

function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, at) => parts.slice(0, at + 1).join('/'))
}
