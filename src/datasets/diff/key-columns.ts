import { canonicalNumber } from './number-writing.ts'
import type { Cell, ColumnPair, Table } from './table.ts'

/** What people call the column that names a row. */
const KEY_NAME =
  /^(id|ids|key|uuid|guid|name|code|slug|path|file|filename|url|uri|doi|isbn|sha\d*|hash|oid|date|day|time|timestamp|datetime|package|repo|repository)$|[ _.-](id|key|name|code)$|[a-z]I[dD]$/i
/** A column of such a name is believed to be the key if at least this part of the shorter side's values is on both. */
const BELIEVED_MIN = 0.5
/** Two columns together are tried as a key among the first so many. */
const PAIRED_COLUMNS_MAX = 8
/** Measured values are unique more often than not, and name nothing. */
const MEASURE = /^ *[+-]?\d*\.\d+([eE][+-]?\d+)? *$/
const MEASURES_LOOKED_AT = 50
/** Between two parts of a key: no text of a file that is worth comparing by rows holds it. */
const SEPARATOR = '\u0000'

/** A number names the same row however it is written; an empty cell names none. */
export function keyOf(row: readonly Cell[], columns: readonly number[]): string | undefined {
  let key: string | undefined
  for (const column of columns) {
    const cell = row[column]
    if (cell === undefined || cell === '' || cell === 'null' || cell === '""') return undefined
    const part = canonicalNumber(cell) ?? cell
    key = key === undefined ? part : key + SEPARATOR + part
  }
  return key
}

/** Rows by their key, or undefined when a row has none or two rows have the same. Pure. */
export function indexRows(table: Table, columns: readonly number[]): Map<string, number> | undefined {
  const index = new Map<string, number>()
  for (const [place, row] of table.rows.entries()) {
    const key = keyOf(row, columns)
    if (key === undefined || index.has(key)) return undefined
    index.set(key, place)
  }
  return index
}

/**
 * The columns that tell rows apart: one that is unique on both sides, rather one that is called like a key, rather one
 * whose values are on both sides; else two such together. Undefined when there are none. The same in both directions.
 * Pure.
 */
export function inferKey(from: Table, to: Table, pairs: readonly ColumnPair[]): ColumnPair[] | undefined {
  const single = best(
    pairs.map((pair) => [pair]),
    from,
    to,
  )
  if (single !== undefined) return single
  const tried = pairs
    .filter((pair) => !isMeasure(from, pair.from) && !isMeasure(to, pair.to))
    .sort((a, b) => placeOf([a]) - placeOf([b]) || compareText(nameOf(from, to, [a]), nameOf(from, to, [b])))
    .slice(0, PAIRED_COLUMNS_MAX)
  const couples = tried.flatMap((one, index) => tried.slice(index + 1).map((other) => [one, other]))
  return best(couples, from, to)
}

function best(candidates: readonly ColumnPair[][], from: Table, to: Table): ColumnPair[] | undefined {
  const shorter = Math.min(from.rows.length, to.rows.length)
  let found: { readonly pairs: ColumnPair[]; readonly rank: number } | undefined
  for (const pairs of candidates) {
    const called = pairs.every((pair) => isCalledKey(from, to, pair))
    const shared = countShared(from, to, pairs)
    if (shared === undefined) continue
    const part = shorter === 0 ? 0 : shared / shorter
    const measure = pairs.some((pair) => isMeasure(from, pair.from) || isMeasure(to, pair.to))
    const rank = called && part >= BELIEVED_MIN ? 1 + part : measure ? part / 2 : part
    // All rows may be other ones under a name that nobody doubts; by any other column they have nothing in common.
    if (rank === 0 && !called) continue
    const order =
      found === undefined
        ? -1
        : found.rank - rank ||
          placeOf(pairs) - placeOf(found.pairs) ||
          compareText(nameOf(from, to, pairs), nameOf(from, to, found.pairs))
    if (order < 0) found = { pairs, rank }
  }
  return found?.pairs
}

/** The leftmost wins among equals; the names only make both directions agree. */
function placeOf(pairs: readonly ColumnPair[]): number {
  return pairs.reduce((sum, pair) => sum + pair.from + pair.to, 0)
}

function nameOf(from: Table, to: Table, pairs: readonly ColumnPair[]): string {
  const names = pairs.map((pair) => [from.columns[pair.from], to.columns[pair.to]].sort().join())
  return names.sort().join(SEPARATOR)
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** How many keys are on both sides, or undefined when the columns are no key on one of them. */
function countShared(from: Table, to: Table, pairs: readonly ColumnPair[]): number | undefined {
  const keys = indexRows(
    from,
    pairs.map((pair) => pair.from),
  )
  if (keys === undefined) return undefined
  const others = indexRows(
    to,
    pairs.map((pair) => pair.to),
  )
  if (others === undefined) return undefined
  let shared = 0
  for (const key of keys.keys()) if (others.has(key)) shared += 1
  return shared
}

function isCalledKey(from: Table, to: Table, pair: ColumnPair): boolean {
  return KEY_NAME.test(from.columns[pair.from] ?? '') && KEY_NAME.test(to.columns[pair.to] ?? '')
}

function isMeasure(table: Table, column: number): boolean {
  const looked = table.rows.slice(0, MEASURES_LOOKED_AT)
  return looked.some((row) => MEASURE.test(row[column] ?? ''))
}
