import { areReordered, type ColumnMatch, matchColumns, without } from './columns.ts'
import { indexRows, inferKey, keyOf } from './key-columns.ts'
import { canonicalNumber, sameNumber } from './number-writing.ts'
import type { Cell, CellChange, ColumnPair, RowChange, Table, TableDiff } from './table.ts'

/** Of the rows that are on both sides, the part in which a renamed column has to have kept its value. */
const KEPT_MIN = 0.8

export interface TableDiffOptions {
  /** Columns that tell rows apart; inferred where none are given. */
  readonly key?: readonly string[]
  /** Rows told, beside those counted. */
  readonly toldMax: number
}

/** Rows that are one, by their places on both sides. */
interface RowPair {
  readonly from: number
  readonly to: number
}

interface MatchedRows {
  readonly both: readonly RowPair[]
  readonly removed: readonly number[]
  readonly added: readonly number[]
}

/**
 * What lies between two tables: columns apart from values, values apart from how numbers are written. Rows are told
 * apart by key columns, and where there are none by all that they hold, each as often as it is there. Pure; the same in
 * both directions.
 *
 * @throws RangeError when a given key is not in both tables, or names two rows.
 */
export function diffTables(from: Table, to: Table, options: TableDiffOptions): TableDiff {
  let match = matchColumns(from, to)
  let key = chooseKey(from, to, match.pairs, options.key)
  let rows = matchRows(from, to, match.pairs, key)
  const refuted = key === undefined ? [] : refutedNames(from, to, match, key, rows)
  if (refuted.length > 0) {
    match = without(match, refuted)
    key = chooseKey(from, to, match.pairs, options.key)
    rows = matchRows(from, to, match.pairs, key)
  }
  return tell(from, to, match, key, rows, options.toldMax)
}

function chooseKey(
  from: Table,
  to: Table,
  pairs: readonly ColumnPair[],
  given: readonly string[] | undefined,
): ColumnPair[] | undefined {
  if (given === undefined || given.length === 0) return inferKey(from, to, pairs)
  const key = given.map((name) => {
    const pair = pairs.find((one) => from.columns[one.from] === name || to.columns[one.to] === name)
    if (pair === undefined) throw new RangeError(`the column "${name}" is not in both files`)
    return pair
  })
  const sides = [indexRows(from, froms(key)), indexRows(to, tos(key))]
  if (sides.includes(undefined)) throw new RangeError(`"${given.join(', ')}" does not tell all rows apart`)
  return key
}

function matchRows(
  from: Table,
  to: Table,
  pairs: readonly ColumnPair[],
  key: readonly ColumnPair[] | undefined,
): MatchedRows {
  if (key === undefined) return matchWhole(from, to, pairs)
  const index = indexRows(to, tos(key)) ?? new Map<string, number>()
  const [both, removed]: [RowPair[], number[]] = [[], []]
  for (const [place, row] of from.rows.entries()) {
    const text = keyOf(row, froms(key))
    const other = text === undefined ? undefined : index.get(text)
    if (text === undefined || other === undefined) removed.push(place)
    else {
      both.push({ from: place, to: other })
      index.delete(text)
    }
  }
  return { both, removed, added: [...index.values()].sort((a, b) => a - b) }
}

/** Equal rows are one each; of the rest those are one that differ in nothing but how numbers are written. */
function matchWhole(from: Table, to: Table, pairs: readonly ColumnPair[]): MatchedRows {
  const all = (table: Table) => table.rows.map((_, place) => place)
  const exact = pairUp(all(from), all(to), (place, side) =>
    whole(side === 'from' ? from : to, place, side, pairs, false),
  )
  const alike = pairUp(exact.removed, exact.added, (place, side) =>
    whole(side === 'from' ? from : to, place, side, pairs, true),
  )
  const both = [...exact.both, ...alike.both].sort((a, b) => a.from - b.from)
  return { both, removed: alike.removed, added: alike.added }
}

type Side = keyof ColumnPair

function whole(
  table: Table,
  place: number,
  side: Side,
  pairs: readonly ColumnPair[],
  canonical: boolean,
): string {
  const row = table.rows[place] as readonly Cell[]
  const cells = pairs.map((pair) => {
    const cell = row[pair[side]]
    if (cell === undefined) return null
    return canonical ? (canonicalNumber(cell) ?? cell) : cell
  })
  return JSON.stringify(cells)
}

function pairUp(
  froms: readonly number[],
  tos: readonly number[],
  textOf: (place: number, side: Side) => string,
): MatchedRows {
  const waiting = new Map<string, number[]>()
  // Turned round, so that the first of equal rows is the last in the list and is taken first.
  for (const place of [...tos].reverse()) {
    const text = textOf(place, 'to')
    const places = waiting.get(text)
    if (places === undefined) waiting.set(text, [place])
    else places.push(place)
  }
  const [both, removed]: [RowPair[], number[]] = [[], []]
  for (const place of froms) {
    const other = waiting.get(textOf(place, 'from'))?.pop()
    if (other === undefined) removed.push(place)
    else both.push({ from: place, to: other })
  }
  return { both, removed, added: [...waiting.values()].flat().sort((a, b) => a - b) }
}

/** The renamed columns whose values did not stay with their rows, and so are two columns that only look alike. */
function refutedNames(
  from: Table,
  to: Table,
  { renamed }: ColumnMatch,
  key: readonly ColumnPair[],
  { both }: MatchedRows,
): ColumnPair[] {
  return renamed.filter((pair) => {
    if (key.includes(pair)) return false
    const kept = both.filter(
      (row) => cellOf(from, row.from, pair.from) === cellOf(to, row.to, pair.to),
    ).length
    return kept < both.length * KEPT_MIN
  })
}

function tell(
  from: Table,
  to: Table,
  match: ColumnMatch,
  key: readonly ColumnPair[] | undefined,
  rows: MatchedRows,
  toldMax: number,
): TableDiff {
  const told: RowChange[] = []
  const changedIn = new Map<string, number>()
  const count = { changed: 0, rewritten: 0 }
  const push = (make: () => RowChange) => {
    if (told.length < toldMax) told.push(make())
  }
  // In the order of the first table, as people read it; what came is told at the end.
  const places: { readonly place: number; readonly pair?: RowPair }[] = [
    ...rows.both.map((pair) => ({ place: pair.from, pair })),
    ...rows.removed.map((place) => ({ place })),
  ].sort((a, b) => a.place - b.place)
  for (const { place, pair } of places) {
    if (pair === undefined) {
      push(() => loneRow(from, place, 'removed', froms(key ?? [])))
      continue
    }
    const cells = changedCells(from, to, match.pairs, pair)
    if (cells.length === 0) continue
    const change = cells.every((cell) => cell.sameNumber) ? 'rewritten' : 'changed'
    count[change] += 1
    for (const { column, sameNumber } of cells) {
      if (sameNumber !== true) changedIn.set(column, (changedIn.get(column) ?? 0) + 1)
    }
    const keyCells = (key ?? []).map((one) => cellOf(to, pair.to, one.to) ?? '')
    push(() => ({ change, fromRow: pair.from + 1, toRow: pair.to + 1, key: keyCells, cells }))
  }
  for (const place of rows.added) push(() => loneRow(to, place, 'added', tos(key ?? [])))
  const nameIn = (table: Table) => (index: number) => table.columns[index] ?? ''
  return {
    rows: {
      from: from.rows.length,
      to: to.rows.length,
      added: rows.added.length,
      removed: rows.removed.length,
      ...count,
    },
    key: (key ?? []).map((pair) => nameIn(to)(pair.to)),
    columns: {
      added: match.added.map(nameIn(to)),
      removed: match.removed.map(nameIn(from)),
      renamed: match.renamed.map((pair) => ({ from: nameIn(from)(pair.from), to: nameIn(to)(pair.to) })),
      reordered: from.ordered && to.ordered && areReordered(match.pairs),
      changed: [...changedIn]
        .map(([column, rows]) => ({ column, rows }))
        .sort((a, b) => b.rows - a.rows || (a.column < b.column ? -1 : 1)),
    },
    moved: rows.both.some((pair, index) => index > 0 && pair.to < (rows.both[index - 1] as RowPair).to),
    told,
  }
}

function loneRow(
  table: Table,
  place: number,
  change: 'added' | 'removed',
  key: readonly number[],
): RowChange {
  const side = change === 'added' ? 'to' : 'from'
  const cells = table.columns.flatMap((column, index): CellChange[] => {
    const cell = cellOf(table, place, index)
    return cell === undefined ? [] : [{ column, [side]: cell }]
  })
  const keyCells = key.map((index) => cellOf(table, place, index) ?? '')
  return { change, [`${side}Row`]: place + 1, key: keyCells, cells }
}

function changedCells(from: Table, to: Table, pairs: readonly ColumnPair[], row: RowPair): CellChange[] {
  const cells: CellChange[] = []
  for (const pair of pairs) {
    const before = cellOf(from, row.from, pair.from)
    const after = cellOf(to, row.to, pair.to)
    if (before === after) continue
    const same = before !== undefined && after !== undefined && sameNumber(before, after)
    cells.push({
      column: to.columns[pair.to] ?? '',
      ...(before === undefined ? {} : { from: before }),
      ...(after === undefined ? {} : { to: after }),
      ...(same ? { sameNumber: true } : {}),
    })
  }
  return cells
}

function cellOf(table: Table, row: number, column: number): Cell {
  return table.rows[row]?.[column]
}

function froms(pairs: readonly ColumnPair[]): number[] {
  return pairs.map((pair) => pair.from)
}

function tos(pairs: readonly ColumnPair[]): number[] {
  return pairs.map((pair) => pair.to)
}
