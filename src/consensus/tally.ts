/**
 * Counting whole files (protocols/voting.md §5): for every path, what more than half of the counted ballots hold byte for
 * byte, be it a file or its absence; more than half of their weight where they are weighed. What a method finds within a
 * file that has no such majority is put in its place (`Merges`). Pure: the same ballots and the same parent give the same
 * result everywhere.
 */
import type { TreeFile } from '../datasets/git/repository.ts'
import type { EntryDifferences, FileMerge } from './methods/file-merge.ts'
import { strangeness } from './methods/strangeness.ts'
import { comparePaths } from './paths.ts'

/** Where one member's ballot departs from what the majority holds; contested paths are nobody's difference. */
export interface Differences {
  /** The majority holds a file, the member none. */
  readonly missing: readonly string[]
  /** The member holds a file, the majority none. */
  readonly extra: readonly string[]
  /** Both hold a file, not the same one. */
  readonly different: readonly string[]
  /** By path, where files were merged entry by entry; those files alone in which the member departs from what was agreed. */
  readonly entries?: Readonly<Record<string, EntryDifferences>>
}

export interface Tally {
  /** The files of the result, sorted bytewise by path. */
  readonly files: readonly TreeFile[]
  /** Paths on which no more than half agree; the parent's entry stands. */
  readonly contested: readonly string[]
  /** What methods found within files, by path. */
  readonly merges: ReadonlyMap<string, MergeReport>
  /** Each counted member's differences. */
  readonly members: ReadonlyMap<string, Differences>
  /** False when paths are contested and nothing but the parent's files is left: a tie decides nothing. */
  readonly decided: boolean
}

export type Verdict = 'absent' | 'contested' | TreeFile

/** Files by member, in the order of the members. */
export type Ballots = ReadonlyMap<string, readonly TreeFile[]>

/** What a method made of a contested file: its new version, where entries were agreed on, and how it came about. */
export interface MergedFile {
  readonly path: string
  /** Contested: nothing within it was agreed on that the truth did not have. */
  readonly verdict: Verdict
  readonly merge: MergeReport
}

/** What is kept of a merge once its bytes are stored. */
export type MergeReport = Omit<FileMerge, 'bytes'>

type FilesByPath = ReadonlyMap<string, TreeFile>

/** Files by path and member, and what each path's ballots say. */
export interface Count {
  readonly held: ReadonlyMap<string, FilesByPath>
  readonly verdicts: ReadonlyMap<string, Verdict>
}

/**
 * What the ballots say of each path that any of them holds.
 *
 * @param weights what each member's ballot weighs; without them, all weigh the same.
 */
export function countFiles(ballots: Ballots, weights?: ReadonlyMap<string, number>): Count {
  // Equal results mostly are one list, which is looked through once.
  const indexed = new Map([...new Set(ballots.values())].map((files) => [files, byPath(files)]))
  const held = new Map([...ballots].map(([member, files]) => [member, indexed.get(files) as FilesByPath]))
  const groups = new Map<FilesByPath, number>()
  for (const [member, files] of held)
    groups.set(files, (groups.get(files) ?? 0) + (weights?.get(member) ?? 1))
  const weighed = [...groups]
  const verdicts = new Map<string, Verdict>()
  for (const files of groups.keys()) {
    for (const path of files.keys()) {
      if (!verdicts.has(path)) verdicts.set(path, majority(path, weighed))
    }
  }
  return { held, verdicts }
}

/** Method `strangeness`: the least strange ballot is taken whole; where it is not one alone, everything is contested. */
export function countWhole(ballots: Ballots): Count {
  const { held, verdicts } = countFiles(ballots)
  const candidates = new Map(
    [...held].map(([member, files]) => {
      return [member, new Map([...files].map(([path, { mode, oid }]) => [path, `${mode} ${oid}`]))] as const
    }),
  )
  const { winners, drawn } = strangeness(candidates)
  const winner = drawn ? undefined : held.get(winners[0] ?? '')
  const verdict = (path: string) => (winner === undefined ? 'contested' : (winner.get(path) ?? 'absent'))
  return { held, verdicts: new Map([...verdicts.keys()].map((path) => [path, verdict(path)])) }
}

/** The paths on which no more than half agree, sorted. */
export function contestedPaths({ verdicts }: Count): string[] {
  return sorted([...verdicts].filter(([, verdict]) => verdict === 'contested').map(([path]) => path))
}

/**
 * Puts together what was counted, over `parent`, the files of the truth so far.
 *
 * A path that the majority lacks keeps the parent's entry where the parent has one: other steps have put it there.
 */
export function conclude(
  { held, verdicts: counted }: Count,
  parent: readonly TreeFile[],
  merged: readonly MergedFile[] = [],
): Tally {
  const verdicts = new Map(counted)
  for (const { path, verdict } of merged) verdicts.set(path, verdict)
  const agreed = [...verdicts.values()].filter((verdict) => typeof verdict === 'object')
  const files = merge(agreed, parent)
  const contested = contestedPaths({ held, verdicts })
  const merges = new Map(merged.map(({ path, merge }) => [path, merge]))
  const whole = new Map([...verdicts].filter(([path]) => !merges.has(path)))
  const departing = new Map([...new Set(held.values())].map((own) => [own, differences(own, whole)]))
  const members = new Map(
    [...held].map(([member, own]) => {
      return [member, withEntries(departing.get(own) as Differences, member, merges)] as const
    }),
  )
  const isAgreed = contestedCount({ contested, merges }) === 0
  return { files, contested, merges, members, decided: isAgreed || !sameFiles(files, parent) }
}

/** Method `identical`. */
export function tallyIdentical(ballots: Ballots, parent: readonly TreeFile[]): Tally {
  return conclude(countFiles(ballots), parent)
}

/** True when a member's ballot departs nowhere from the majority. */
export function agrees(differences: Differences): boolean {
  return departures(differences) === 0
}

/** In how many files and entries a member's ballot departs from what was agreed. */
export function departures({ missing, extra, different, entries = {} }: Differences): number {
  const within = Object.values(entries).map(
    (found) => found.missing.count + found.extra.count + found.different.count,
  )
  return within.reduce((sum, count) => sum + count, missing.length + extra.length + different.length)
}

/** How many files and entries are contested; a file that is contested as a whole is one, whatever is named within it. */
export function contestedCount({ contested, merges }: Pick<Tally, 'contested' | 'merges'>): number {
  const whole = contested.filter((path) => !merges.has(path)).length
  return [...merges.values()].reduce(
    (sum, merge) => sum + (merge.whole === undefined ? merge.contested.count : 1),
    whole,
  )
}

function withEntries(
  found: Differences,
  member: string,
  merges: ReadonlyMap<string, MergeReport>,
): Differences {
  const entries: Record<string, EntryDifferences> = {}
  for (const [path, { members }] of merges) {
    const own = members.get(member)
    if (own === undefined || own.missing.count + own.extra.count + own.different.count === 0) continue
    entries[path] = own
  }
  return Object.keys(entries).length === 0 ? found : { ...found, entries }
}

/**
 * What more than half of the weight holds at a path: the one that is left when different ones cancel each other out
 * (Boyer & Moore 1991), if it is more than half indeed.
 */
function majority(path: string, weighed: readonly (readonly [FilesByPath, number])[]): Verdict {
  let [candidate, left]: [TreeFile | undefined, number] = [undefined, 0]
  let total = 0
  for (const [files, weight] of weighed) {
    const entry = files.get(path)
    total += weight
    if (sameEntry(entry, candidate)) left += weight
    else if (left >= weight) left -= weight
    else [candidate, left] = [entry, weight - left]
  }
  let held = 0
  for (const [files, weight] of weighed) if (sameEntry(files.get(path), candidate)) held += weight
  return 2 * held > total ? (candidate ?? 'absent') : 'contested'
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

function differences(files: FilesByPath, verdicts: ReadonlyMap<string, Verdict>): Differences {
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

function sameEntry(a: TreeFile | undefined, b: TreeFile | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.mode === b.mode && a.oid === b.oid)
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
