/** Puts a ballot together from candidates' file lists and what a person chose (protocols/hand-ballots.md H5). Pure. */
import { NodeError } from '../../base/errors.ts'
import { nearestName } from '../../base/nearest-name.ts'
import type { TreeFile } from '../../datasets/git/repository.ts'
import { comparePaths } from '../paths.ts'
import type { Choices, Chosen } from './choices.ts'

/** A file of which entries are taken from other members. */
export interface Rewrite {
  /** As the ballot has it before. */
  readonly base: TreeFile
  /** Name of the member whose version that is. */
  readonly baseMember: string
  /** By name of the member: its version, and the entries that are to be as they are there. */
  readonly from: ReadonlyMap<string, { readonly file: TreeFile; readonly keys: readonly string[] }>
}

export interface Composition {
  /** Sorted by path; files that are to be rewritten as they are before. */
  readonly files: readonly TreeFile[]
  readonly rewrites: ReadonlyMap<string, Rewrite>
  readonly chosen: readonly Chosen[]
}

/** Files of each candidate by name of the member. */
export type Candidates = ReadonlyMap<string, readonly TreeFile[]>

/**
 * @param base whose result is the ballot but for the choices.
 * @throws NodeError INVALID_INPUT where a choice names what is not there, or two contradict each other.
 */
export function composeFiles(candidates: Candidates, base: string, choices: Choices): Composition {
  checkDistinct(choices)
  const held = new Map([...candidates].map(([name, files]) => [name, byPath(files)]))
  const own = filesOf(held, base)
  const result = new Map(own)
  const from = new Map([...own.keys()].map((path) => [path, base]))
  const chosen: Chosen[] = [{ path: '', member: base, change: 'base' }]
  for (const { path, member } of choices.files) {
    const file = needFile(held, member, path)
    chosen.push({ path, member, change: changeOf(result.get(path), file) })
    result.set(path, file)
    from.set(path, member)
  }
  for (const path of choices.absent) {
    if (!result.delete(path))
      throw unknownPath(`${base}'s result has no file ${path} that could be left out`, path, own)
    chosen.push({ path, change: 'removed' })
  }
  const rewrites = rewritesOf(choices, held, result, (path) => from.get(path) ?? base)
  checkNesting(result, from)
  const files = [...result.values()].sort((a, b) => comparePaths(a.path, b.path))
  return { files, rewrites, chosen }
}

function rewritesOf(
  { entries }: Choices,
  held: Held,
  result: ReadonlyMap<string, TreeFile>,
  memberOf: (path: string) => string,
): ReadonlyMap<string, Rewrite> {
  const rewrites = new Map<
    string,
    { base: TreeFile; baseMember: string; from: Map<string, { file: TreeFile; keys: string[] }> }
  >()
  for (const { path, key, member } of entries) {
    const base = result.get(path)
    if (base === undefined) {
      throw unknownPath(
        `The ballot has no file ${path} into which an entry could go; choose whose it is first: --file ${path}=MEMBER`,
        path,
        result,
      )
    }
    const file = needFile(held, member, path)
    const rewrite = rewrites.get(path) ?? { base, baseMember: memberOf(path), from: new Map() }
    const taken = rewrite.from.get(member) ?? { file, keys: [] }
    taken.keys.push(key)
    rewrite.from.set(member, taken)
    rewrites.set(path, rewrite)
  }
  return rewrites
}

type Held = ReadonlyMap<string, ReadonlyMap<string, TreeFile>>

function filesOf(held: Held, member: string): ReadonlyMap<string, TreeFile> {
  const files = held.get(member)
  if (files !== undefined) return files
  const names = [...held.keys()].sort()
  const known = names.length === 0 ? 'nobody has one yet' : `there are those of ${names.join(', ')}`
  throw wrong(`${member} has no result of this step to choose; ${known}`)
}

function needFile(held: Held, member: string, path: string): TreeFile {
  const files = filesOf(held, member)
  const file = files.get(path)
  if (file !== undefined) return file
  throw unknownPath(`${member}'s result has no file ${path}; --absent ${path} leaves it out`, path, files)
}

/** Each path and each entry is decided on once. */
function checkDistinct({ files, entries, absent }: Choices): void {
  const paths = new Map<string, string>()
  for (const { path, member } of files) decide(paths, path, member, path)
  for (const path of absent) decide(paths, path, 'nobody (--absent)', path)
  const gone = new Set(absent)
  const names = new Map<string, string>()
  for (const { path, key, member } of entries) {
    if (gone.has(path))
      throw wrong(`${path} cannot be left out and have an entry of ${member}; choose one of them`)
    decide(names, `${path}\n${key}`, member, `${path}:${key}`)
  }
}

function decide(decided: Map<string, string>, name: string, member: string, shown: string): void {
  const before = decided.get(name)
  if (before !== undefined)
    throw wrong(`${shown} was chosen twice, from ${before} and from ${member}; choose once`)
  decided.set(name, member)
}

/** A file of one member cannot stand where another's directory is. */
function checkNesting(result: ReadonlyMap<string, TreeFile>, from: ReadonlyMap<string, string>): void {
  for (const path of result.keys()) {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      const above = path.slice(0, at)
      if (!result.has(above)) continue
      throw wrong(
        `${above} is a file with ${from.get(above)} and a directory with ${from.get(path)} (${path}); leave one out with --absent, or choose both from one member`,
      )
    }
  }
}

function changeOf(before: TreeFile | undefined, after: TreeFile): Chosen['change'] {
  if (before === undefined) return 'added'
  return before.oid === after.oid && before.mode === after.mode ? 'same' : 'replaced'
}

function byPath(files: readonly TreeFile[]): ReadonlyMap<string, TreeFile> {
  return new Map(files.map((file) => [file.path, file]))
}

function unknownPath(message: string, path: string, known: ReadonlyMap<string, unknown>): NodeError {
  const near = nearestName(path, [...known.keys()].slice(0, NEAR_AMONG))
  return wrong(near === undefined || near === path ? message : `${message}; did you mean ${near}?`)
}

/** Names are compared one by one, which of very many takes too long for a hint. */
const NEAR_AMONG = 2_000

function wrong(message: string): NodeError {
  return new NodeError('INVALID_INPUT', message)
}
