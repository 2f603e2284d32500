import { diffEditsMax, diffLinesTimeoutMs, diffTextBytesMax } from '../../base/limits.ts'
import { csvTables } from './csv-table.ts'
import { jsonTable, linesTable } from './json-table.ts'
import { type Json, parseJson } from './json-value.ts'
import { diffLines, type LineDiff } from './line-diff.ts'
import { diffTables } from './row-diff.ts'
import type { TableDiff } from './table.ts'
import { Unreadable } from './unreadable.ts'
import { diffValues, type ValueDiff } from './value-diff.ts'

/** How far two versions of one file were understood, and what lies between them. */
export type Comparison = (
  | ({ readonly as: 'rows' } & TableDiff)
  | ({ readonly as: 'values' } & ValueDiff)
  | ({ readonly as: 'lines' } & LineDiff)
  /** By id and size alone. */
  | { readonly as: 'whole' }
) & {
  /** Why it was not understood any further, or what was taken otherwise than asked. */
  readonly note?: string
  /** All columns of both tables, where the key that was asked for did not hold. */
  readonly columnsThere?: readonly string[]
}

export interface CompareOptions {
  readonly key?: readonly string[]
  /** Rows, values or lines told. */
  readonly toldMax: number
}

/** What a file is taken for, by what its name ends in. */
export type FileKind = 'csv' | 'tsv' | 'json' | 'json-lines' | 'other'

const KINDS: Readonly<Record<string, FileKind>> = {
  csv: 'csv',
  tsv: 'tsv',
  tab: 'tsv',
  json: 'json',
  geojson: 'json',
  jsonl: 'json-lines',
  ndjson: 'json-lines',
}

export function kindOf(path: string): FileKind {
  const ending = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? ''
  return (Object.hasOwn(KINDS, ending) ? KINDS[ending] : undefined) ?? 'other'
}

/**
 * Compares two versions of one file as what it is: tables by rows, JSON by values, text by lines, anything else as a
 * whole. What cannot be read as what its name says is compared in the next simpler way, and the note says so. Pure.
 */
export function compareFiles(
  path: string,
  from: Uint8Array,
  to: Uint8Array,
  options: CompareOptions,
): Comparison {
  const kind = kindOf(path)
  const [before, after] = [decodeText(from, kind), decodeText(to, kind)]
  if (before === undefined || after === undefined) return { as: 'whole', note: 'is binary' }
  try {
    switch (kind) {
      case 'csv':
      case 'tsv': {
        const tables = csvTables(before, after, kind === 'tsv')
        return compareTables(tables, options)
      }
      case 'json':
        return compareJson(parseJson(before), parseJson(after), options)
      case 'json-lines':
        return compareTables({ from: linesTable(before), to: linesTable(after) }, options)
      case 'other':
        return compareLines(before, after, options.toldMax)
    }
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    const lines = compareLines(before, after, options.toldMax)
    return { ...lines, note: lines.note === undefined ? error.message : `${error.message}; ${lines.note}` }
  }
}

type Tables = ReturnType<typeof csvTables>

function compareTables({ from, to }: Tables, options: CompareOptions): Comparison {
  try {
    return { as: 'rows', ...diffTables(from, to, options) }
  } catch (error) {
    if (!(error instanceof RangeError) || options.key === undefined) throw error
    const { toldMax } = options
    return {
      as: 'rows',
      ...diffTables(from, to, { toldMax }),
      note: `the key was not used: ${error.message}`,
      columnsThere: [...new Set([...from.columns, ...to.columns])],
    }
  }
}

function compareJson(from: Json, to: Json, options: CompareOptions): Comparison {
  const tables = { from: jsonTable(from), to: jsonTable(to) }
  if (tables.from !== undefined && tables.to !== undefined) {
    // Two lists that are empty, or become so, are rows as well; nobody can say otherwise.
    return compareTables({ from: tables.from, to: tables.to }, options)
  }
  return { as: 'values', ...diffValues(from, to, options.toldMax) }
}

function compareLines(from: string, to: string, toldMax: number): Comparison {
  if (Math.max(from.length, to.length) > diffTextBytesMax) {
    return {
      as: 'whole',
      note: `is too large to compare by lines (more than ${diffTextBytesMax} characters)`,
    }
  }
  const lines = diffLines(from, to, {
    editsMax: diffEditsMax,
    timeoutMs: diffLinesTimeoutMs,
    toldMax,
  })
  if (lines === undefined) return { as: 'whole', note: 'differs too much to compare by lines' }
  return { as: 'lines', ...lines }
}

/** Text in UTF-8; a file whose name says that it is text may be in the old Western encoding. Undefined: no text. */
function decodeText(bytes: Uint8Array, kind: FileKind): string | undefined {
  if (bytes.includes(0)) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return kind === 'other' ? undefined : new TextDecoder('windows-1252').decode(bytes)
  }
}

/** Whether a comparison of two files that are not the same found nothing but another way to write the same. Pure. */
export function sameContent(comparison: Comparison): boolean {
  switch (comparison.as) {
    case 'rows': {
      const { rows, columns } = comparison
      const named = columns.added.length + columns.removed.length + columns.renamed.length
      return rows.added + rows.removed + rows.changed + named === 0
    }
    case 'values':
      return comparison.added + comparison.removed + comparison.changed === 0
    default:
      return false
  }
}
