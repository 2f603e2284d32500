import type { TreeFile } from '../git/repository.ts'

/** The content of nothing, which any two empty files share by chance. */
const EMPTY_BLOB = 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'

/** A file that is not the same on both sides. Only `to` is there for an added one, only `from` for a removed one. */
export interface FileDifference {
  readonly change: 'added' | 'removed' | 'changed' | 'renamed'
  readonly from?: TreeFile
  readonly to?: TreeFile
}

export interface TreeDiff {
  /** Sorted by path. */
  readonly files: readonly FileDifference[]
  readonly unchanged: number
}

/**
 * The files in which two trees differ. One that is gone and one that is new with the very same content are one that was
 * renamed. Pure; the same in both directions.
 */
export function diffTrees(from: readonly TreeFile[], to: readonly TreeFile[]): TreeDiff {
  const others = new Map(to.map((file) => [file.path, file]))
  const [changed, removed]: [FileDifference[], TreeFile[]] = [[], []]
  let unchanged = 0
  for (const file of from) {
    const other = others.get(file.path)
    others.delete(file.path)
    if (other === undefined) removed.push(file)
    else if (other.oid === file.oid && other.mode === file.mode) unchanged += 1
    else changed.push({ change: 'changed', from: file, to: other })
  }
  const files = [...changed, ...pairRenamed(removed, [...others.values()])]
  return { files: files.sort((a, b) => compare(pathOf(a), pathOf(b))), unchanged }
}

/** Where the file is, or was if it is gone. */
export function pathOf({ from, to }: FileDifference): string {
  return (to ?? from)?.path ?? ''
}

function pairRenamed(removed: readonly TreeFile[], added: readonly TreeFile[]): FileDifference[] {
  const byContent = new Map<string, { readonly froms: TreeFile[]; readonly tos: TreeFile[] }>()
  const groupOf = ({ oid }: TreeFile) => {
    const group = byContent.get(oid) ?? { froms: [], tos: [] }
    byContent.set(oid, group)
    return group
  }
  for (const file of removed) groupOf(file).froms.push(file)
  for (const file of added) groupOf(file).tos.push(file)
  return [...byContent].flatMap(([oid, { froms, tos }]): FileDifference[] => {
    const pairs = oid === EMPTY_BLOB ? [] : pairFiles(froms, tos)
    const used = new Set(pairs.flat())
    return [
      ...pairs.map(([one, other]): FileDifference => ({ change: 'renamed', from: one, to: other })),
      ...froms
        .filter((file) => !used.has(file))
        .map((one): FileDifference => ({ change: 'removed', from: one })),
      ...tos
        .filter((file) => !used.has(file))
        .map((other): FileDifference => ({ change: 'added', to: other })),
    ]
  })
}

/** A file that only went to another directory rather than any other, then whichever comes first. */
function pairFiles(froms: readonly TreeFile[], tos: readonly TreeFile[]): [TreeFile, TreeFile][] {
  const pairs: [TreeFile, TreeFile][] = []
  const left = new Set([...tos].sort((a, b) => compare(a.path, b.path)))
  const rest: TreeFile[] = []
  const byName = new Map<string, TreeFile[]>()
  for (const file of left) byName.set(nameOf(file), [...(byName.get(nameOf(file)) ?? []), file])
  for (const file of [...froms].sort((a, b) => compare(a.path, b.path))) {
    const other = byName.get(nameOf(file))?.shift()
    if (other === undefined) rest.push(file)
    else {
      pairs.push([file, other])
      left.delete(other)
    }
  }
  const remaining = [...left]
  for (const [index, other] of remaining.entries()) {
    const file = rest[index]
    if (file !== undefined) pairs.push([file, other])
  }
  return pairs
}

function nameOf({ path }: TreeFile): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
