/**
 * Method `identical` (protocols/voting.md §5): for every path, what more than half of the counted ballots hold byte for
 * byte, be it a file or its absence. Pure: the same ballots and the same parent give the same result everywhere.
 */
import type { TreeFile } from '../datasets/git/repository.ts'
import { comparePaths } from './paths.ts'

/** Where one member's ballot departs from what the majority holds; contested paths are nobody's difference. */
export interface Differences {
  /** The majority holds a file, the member none. */
  readonly missing: readonly string[]
  /** The member holds a file, the majority none. */
  readonly extra: readonly string[]
  /** Both hold a file, not the same one. */
  readonly different: readonly string[]
}

export interface Tally {
  /** The files of the result, sorted bytewise by path. */
  readonly files: readonly TreeFile[]
  /** Paths on which no more than half agree; the parent's entry stands. */
  readonly contested: readonly string[]
  /** Each counted member's differences. */
  readonly members: ReadonlyMap<string, Differences>
  /** False when paths are contested and nothing but the parent's files is left: a tie decides nothing. */
  readonly decided: boolean
}

type Verdict = 'absent' | 'contested' | TreeFile

/**
 * Counts `ballots` (files by member) over `parent`, the files of the truth so far.
 *
 * A path that the majority lacks keeps the parent's entry where the parent has one: other steps have put it there.
 */
export function tallyIdentical(
  ballots: ReadonlyMap<string, readonly TreeFile[]>,
  parent: readonly TreeFile[],
): Tally {
  const held = [...ballots].map(([member, files]) => ({ member, files: byPath(files) }))
  const paths = new Set(held.flatMap(({ files }) => [...files.keys()]))
  const verdicts = new Map<string, Verdict>()
  for (const path of paths) {
    verdicts.set(path, majority(held.map(({ files }) => files.get(path))))
  }
  const agreed = [...verdicts.values()].filter((verdict) => typeof verdict === 'object')
  const files = merge(agreed, parent)
  const contested = sorted([...paths].filter((path) => verdicts.get(path) === 'contested'))
  const members = new Map(held.map(({ member, files }) => [member, differences(files, verdicts)]))
  return { files, contested, members, decided: contested.length === 0 || !sameFiles(files, parent) }
}

/** True when a member's ballot departs nowhere from the majority. */
export function agrees({ missing, extra, different }: Differences): boolean {
  return missing.length + extra.length + different.length === 0
}

function majority(entries: readonly (TreeFile | undefined)[]): Verdict {
  const counts = new Map<string, { count: number; entry: TreeFile | undefined }>()
  for (const entry of entries) {
    const name = entry === undefined ? '' : `${entry.mode} ${entry.oid}`
    const counted = counts.get(name) ?? { count: 0, entry }
    counted.count += 1
    counts.set(name, counted)
  }
  for (const { count, entry } of counts.values()) {
    if (2 * count > entries.length) return entry ?? 'absent'
  }
  return 'contested'
}

/**
 * The agreed files, and the parent's where none was agreed. Any two agreed paths stand together in one ballot at least,
 * so they fit one tree; a parent's file that would have to be a directory now, or the reverse, gives way.
 */
function merge(agreed: readonly TreeFile[], parent: readonly TreeFile[]): TreeFile[] {
  const merged = byPath(agreed)
  const directories = new Set(agreed.flatMap(({ path }) => directoriesOf(path)))
  const taken = new Set(merged.keys())
  for (const file of parent) {
    const fits = !directories.has(file.path) && !directoriesOf(file.path).some((path) => taken.has(path))
    if (fits && !merged.has(file.path)) merged.set(file.path, file)
  }
  return [...merged.values()].sort((a, b) => comparePaths(a.path, b.path))
}

function differences(files: ReadonlyMap<string, TreeFile>, verdicts: ReadonlyMap<string, Verdict>) {
  const found = { missing: [] as string[], extra: [] as string[], different: [] as string[] }
  for (const [path, verdict] of verdicts) {
    const own = files.get(path)
    if (verdict === 'contested') continue
    if (verdict === 'absent') {
      if (own !== undefined) found.extra.push(path)
    } else if (own === undefined) found.missing.push(path)
    else if (!sameEntry(own, verdict)) found.different.push(path)
  }
  return {
    missing: sorted(found.missing),
    extra: sorted(found.extra),
    different: sorted(found.different),
  }
}

function directoriesOf(path: string): string[] {
  const segments = path.split('/')
  return segments.slice(1).map((_, i) => segments.slice(0, i + 1).join('/'))
}

function byPath(files: readonly TreeFile[]): Map<string, TreeFile> {
  return new Map(files.map((file) => [file.path, file]))
}

function sameEntry(a: TreeFile, b: TreeFile): boolean {
  return a.mode === b.mode && a.oid === b.oid
}

function sameFiles(a: readonly TreeFile[], b: readonly TreeFile[]): boolean {
  const other = byPath(b)
  return (
    a.length === b.length &&
    a.every((file) => {
      const twin = other.get(file.path)
      return twin !== undefined && sameEntry(file, twin)
    })
  )
}

function sorted(paths: readonly string[]): string[] {
  return [...paths].sort(comparePaths)
}
