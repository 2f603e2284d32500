/** What lies between two commits of a dataset: file by file, and inside the files as far as they are understood. */
import { isNodeError, NodeError } from '../../base/errors.ts'
import {
  diffBytesReadMax,
  diffFileBytesMax,
  diffFilesComparedMax,
  diffFilesToldMax,
  diffJsonBytesMax,
  diffLargeBytes,
  diffTextBytesMax,
  diffTimeoutMs,
} from '../../base/limits.ts'
import type { Semaphore } from '../../base/semaphore.ts'
import { entryIn, filesBelow } from '../browse/listing.ts'
import type { Repository, TreeFile } from '../git/repository.ts'
import { Comparer } from './comparer.ts'
import type { DatasetDiff, DiffSide, FileDiff, FileSide } from './differences.ts'
import { type Comparison, type FileKind, kindOf, sameContent } from './file-comparison.ts'
import { describeFile, summaryOf } from './summary.ts'
import { diffTrees, type FileDifference, pathOf } from './tree-diff.ts'
import { countTold, trimmed } from './trimmed.ts'

export interface DatasetDiffOptions {
  /** Only this file, or what lies below this directory. */
  readonly path: string
  /** Columns that tell rows apart; inferred file by file where none are given. */
  readonly key?: readonly string[]
  /** Rows, values and lines told of all files together. */
  readonly toldMax: number
  /** Large files take much memory, so all diffs of a node share one place for them. */
  readonly large: Semaphore
  readonly signal?: AbortSignal
}

/** One side of a file that is looked into. */
const BYTES_MAX: Readonly<Record<FileKind, number>> = {
  csv: diffFileBytesMax,
  tsv: diffFileBytesMax,
  json: diffJsonBytesMax,
  'json-lines': diffJsonBytesMax,
  other: diffTextBytesMax,
}

type Tree = Pick<Repository, 'listFiles' | 'listDirectory' | 'entryAt' | 'fileSizes' | 'readFiles'>

/** Columns that somebody is told of who named one that is not there. */
const COLUMNS_TOLD_MAX = 20

/**
 * @throws NodeError COMMIT_NOT_FOUND, PATH_UNSAFE, NOT_FOUND when neither side has the path or an object is not here,
 * INVALID_INPUT when no table has a column of the key, or the reason of the signal.
 */
export async function diffCommits(
  repository: Tree,
  from: DiffSide,
  to: DiffSide,
  options: DatasetDiffOptions,
): Promise<DatasetDiff> {
  const listed = async ({ commit }: DiffSide) => filesBelow(await repository.listFiles(commit), options.path)
  const [before, after] = [await listed(from), await listed(to)]
  if (options.path !== '' && before.length + after.length === 0) {
    throw await nothingAt(options.path, repository, [to, from])
  }
  const tree = diffTrees(before, after)
  const counts = { added: 0, removed: 0, changed: 0, renamed: 0, unchanged: tree.unchanged }
  for (const { change } of tree.files) counts[change] += 1
  const told = tree.files.slice(0, diffFilesToldMax)
  const oids = told.flatMap((file) =>
    [file.from, file.to].flatMap((side) => (side === undefined ? [] : [side.oid])),
  )
  const sizes = await repository.fileSizes([...new Set(oids)])
  const compared = await compareAll(
    repository,
    told.map((file) => fileDiff(file, sizes)),
    options,
  )
  checkKey(compared, options.key ?? [])
  const files = compared.map(withoutColumns)
  const diff = { from, to, counts, files: files.map((file) => ({ ...file, summary: describeFile(file) })) }
  return { ...diff, summary: summaryOf(diff) }
}

/** The error, with the name that was most likely meant on one of the sides. */
async function nothingAt(path: string, tree: Tree, sides: readonly DiffSide[]): Promise<NodeError> {
  let near: unknown
  for (const { commit } of sides) {
    try {
      await entryIn(tree, commit, path)
    } catch (error) {
      if (!isNodeError(error, 'NOT_FOUND')) throw error
      near ??= error.data.near
    }
  }
  const hint = near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`
  const message = `Neither side has ${JSON.stringify(path.slice(0, 200))}${hint}`
  return new NodeError('NOT_FOUND', message, { path, ...(near === undefined ? {} : { near }) })
}

/** A key that holds in some tables is told of in the others; a column that none has is a slip of who asks. */
function checkKey(files: readonly FileDiff[], key: readonly string[]): void {
  const tables = files.flatMap(({ comparison }) => (comparison?.as === 'rows' ? [comparison] : []))
  // Where the key held, all its columns are there.
  const columns = tables.flatMap(({ columnsThere = key }) => columnsThere)
  const missing = tables.length === 0 ? [] : key.filter((column) => !columns.includes(column))
  if (missing.length === 0) return
  const all = [...new Set(columns)]
  const rest = all.length > COLUMNS_TOLD_MAX ? `, and ${all.length - COLUMNS_TOLD_MAX} more` : ''
  const there = `${all.slice(0, COLUMNS_TOLD_MAX).join(', ')}${rest}`
  const message = `No table that differs has the column ${missing.join(', ')}; there are ${there}`
  throw new NodeError('INVALID_INPUT', message, { key: missing })
}

function withoutColumns(file: FileDiff): FileDiff {
  if (file.comparison?.columnsThere === undefined) return file
  const { columnsThere: _, ...comparison } = file.comparison
  return { ...file, comparison }
}

function fileDiff(file: FileDifference, sizes: ReadonlyMap<string, number>): FileDiff {
  const side = ({ mode, oid }: TreeFile): FileSide => ({ mode, oid, size: sizes.get(oid) ?? 0 })
  const { change, from, to } = file
  return {
    path: pathOf(file),
    change,
    ...(change === 'renamed' && from !== undefined ? { previousPath: from.path } : {}),
    ...(from === undefined ? {} : { from: side(from) }),
    ...(to === undefined ? {} : { to: side(to) }),
  }
}

/** Looks into files one by one until there is no more time, or enough was read or told. */
async function compareAll(
  repository: Tree,
  files: readonly FileDiff[],
  { key, toldMax, large, signal }: DatasetDiffOptions,
): Promise<FileDiff[]> {
  const comparer = new Comparer()
  const deadline = performance.now() + diffTimeoutMs
  const left = { files: diffFilesComparedMax, bytes: diffBytesReadMax, told: toldMax }
  const compared: FileDiff[] = []
  try {
    for (const file of files) {
      const { from, to, path } = file
      if (from === undefined || to === undefined || from.oid === to.oid) {
        compared.push(file)
        continue
      }
      const bytes = from.size + to.size
      const note = whyWhole(path, from, to) ?? exhausted(left, bytes)
      if (note !== undefined) {
        compared.push({ ...file, comparison: { as: 'whole', note } })
        continue
      }
      left.files -= 1
      left.bytes -= bytes
      const look = async (): Promise<Comparison> => {
        const timeoutMs = deadline - performance.now()
        if (timeoutMs <= 0)
          return { as: 'whole', note: `the time of ${diffTimeoutMs / 1_000} s was up; name a path` }
        const contents = await readBoth(repository, from, to, signal)
        const options = { toldMax: left.told, ...(key === undefined ? {} : { key }) }
        return comparer.compare(path, contents, options, {
          timeoutMs,
          ...(signal === undefined ? {} : { signal }),
        })
      }
      const comparison = trimmed(await (bytes < diffLargeBytes ? look() : large.run(look)))
      left.told -= countTold(comparison)
      compared.push({ ...file, comparison, ...(sameContent(comparison) ? { sameContent: true } : {}) })
    }
    return compared
  } finally {
    comparer.close()
  }
}

/** Why a file is compared by id and size alone, as far as that is known before it is read. */
function whyWhole(path: string, from: FileSide, to: FileSide): string | undefined {
  if (from.mode === '120000' || to.mode === '120000') return 'is a link'
  const [bytes, kind] = [Math.max(from.size, to.size), kindOf(path)]
  if (bytes <= BYTES_MAX[kind]) return undefined
  return `is too large to compare by ${kind === 'other' ? 'lines' : 'rows'}: ${bytes} bytes`
}

function exhausted(
  left: { readonly files: number; readonly bytes: number },
  bytes: number,
): string | undefined {
  if (left.files <= 0) return `only the first ${diffFilesComparedMax} files are looked into; name a path`
  if (left.bytes < bytes) return `only ${diffBytesReadMax} bytes are looked into at once; name a path`
  return undefined
}

async function readBoth(repository: Tree, from: FileSide, to: FileSide, signal: AbortSignal | undefined) {
  // Memory of their own, which is handed over to the thread that compares.
  const contents = [new Uint8Array(from.size), new Uint8Array(to.size)] as const
  const fill = async (index: number, content: AsyncIterable<Uint8Array>) => {
    let at = 0
    for await (const chunk of content) {
      contents[index]?.set(chunk, at)
      at += chunk.length
    }
  }
  await repository.readFiles([from.oid, to.oid], fill, signal)
  return { from: contents[0], to: contents[1] }
}
