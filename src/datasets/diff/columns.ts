import type { Cell, ColumnPair, Table } from './table.ts'

/** Of the values of the shorter column, the part that a renamed column has to share with it. */
const ALIKE_MIN = 0.8
/** A column with one value everywhere resembles too many others. */
const DISTINCT_MIN = 2
/** More columns that came and went than this have nothing to do with each other. */
const RENAMES_TRIED_MAX = 400

export interface ColumnMatch {
  /** The columns that both sides have, in the order of the first. */
  readonly pairs: readonly ColumnPair[]
  /** Those of them whose names differ. */
  readonly renamed: readonly ColumnPair[]
  readonly removed: readonly number[]
  readonly added: readonly number[]
}

/** Which column of one table is which of the other: by name, else by what is in it; by place where none is named. Pure. */
export function matchColumns(from: Table, to: Table): ColumnMatch {
  const named = from.named && to.named
  const places = new Map(to.columns.map((column, index) => [named ? column : String(index), index]))
  const pairs: ColumnPair[] = []
  const removed: number[] = []
  for (const [index, column] of from.columns.entries()) {
    const place = places.get(named ? column : String(index))
    if (place === undefined) removed.push(index)
    else pairs.push({ from: index, to: place })
  }
  const taken = new Set(pairs.map((pair) => pair.to))
  const added = to.columns.map((_, index) => index).filter((index) => !taken.has(index))
  const renamed = named ? findRenamed(from, to, removed, added) : []
  return without({ pairs: [...pairs, ...renamed], renamed, removed, added }, [])
}

/** The match with some of its renamed columns taken for what else they may be: one that went and one that came. Pure. */
export function without(match: ColumnMatch, refuted: readonly ColumnPair[]): ColumnMatch {
  const stays = (pair: ColumnPair) => !refuted.includes(pair)
  const pairs = match.pairs.filter(stays).sort((a, b) => a.from - b.from)
  const [froms, tos] = [new Set(pairs.map(({ from }) => from)), new Set(pairs.map(({ to }) => to))]
  const gone = [...match.removed, ...refuted.map(({ from }) => from)].filter((index) => !froms.has(index))
  const come = [...match.added, ...refuted.map(({ to }) => to)].filter((index) => !tos.has(index))
  const ascending = (a: number, b: number) => a - b
  return {
    pairs,
    renamed: match.renamed.filter(stays),
    removed: gone.sort(ascending),
    added: come.sort(ascending),
  }
}

/** Whether the columns that both have come in another order. Pure. */
export function areReordered(pairs: readonly ColumnPair[]): boolean {
  return pairs.some((pair, index) => index > 0 && pair.to < (pairs[index - 1] as ColumnPair).to)
}

interface Resemblance extends ColumnPair {
  readonly alike: number
}

function findRenamed(
  from: Table,
  to: Table,
  removed: readonly number[],
  added: readonly number[],
): ColumnPair[] {
  if (removed.length * added.length > RENAMES_TRIED_MAX) return []
  const shorter = Math.min(from.rows.length, to.rows.length)
  if (shorter === 0 || removed.length === 0 || added.length === 0) return []
  const counted = new Map(added.map((index) => [index, countValues(to, index)]))
  const found: Resemblance[] = []
  for (const one of removed) {
    const values = countValues(from, one)
    for (const other of added) {
      const { count, distinct } = inCommon(values, counted.get(other) as Map<Cell, number>)
      const alike = count / shorter
      if (alike >= ALIKE_MIN && distinct >= DISTINCT_MIN) found.push({ from: one, to: other, alike })
    }
  }
  // The nearest wins among equals; the last rule only makes both directions agree.
  found.sort(
    (a, b) =>
      b.alike - a.alike || distance(a) - distance(b) || a.from + a.to - (b.from + b.to) || a.from - b.from,
  )
  const [froms, tos] = [new Set<number>(), new Set<number>()]
  const renamed: ColumnPair[] = []
  for (const { from: one, to: other } of found) {
    if (froms.has(one) || tos.has(other)) continue
    froms.add(one)
    tos.add(other)
    renamed.push({ from: one, to: other })
  }
  return renamed
}

function distance({ from, to }: ColumnPair): number {
  return Math.abs(from - to)
}

function countValues(table: Table, column: number): Map<Cell, number> {
  const counts = new Map<Cell, number>()
  for (const row of table.rows) counts.set(row[column], (counts.get(row[column]) ?? 0) + 1)
  return counts
}

function inCommon(a: ReadonlyMap<Cell, number>, b: ReadonlyMap<Cell, number>) {
  let count = 0
  let distinct = 0
  for (const [value, times] of a) {
    const others = b.get(value)
    if (others === undefined) continue
    count += Math.min(times, others)
    distinct += 1
  }
  return { count, distinct }
}
