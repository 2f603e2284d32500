import { diffCellsMax, diffColumnsMax, diffRowsMax } from '../../base/limits.ts'
import { canonicalJson, isArray, isObject, type Json, type JsonObject, parseJson } from './json-value.ts'
import type { Table } from './table.ts'
import { Unreadable } from './unreadable.ts'

/** The one column of lines that are no objects. */
const VALUE_COLUMN = 'value'

/** A list of objects as a table, its cells as JSON; undefined for anything else. An empty list is an empty table. Pure. */
export function jsonTable(value: Json): Table | undefined {
  if (!isArray(value) || !value.every(isObject)) return undefined
  const places = new Map<string, number>()
  let cells = 0
  for (const row of value) {
    for (const name of Object.keys(row)) if (!places.has(name)) places.set(name, places.size)
    cells += places.size
    // Objects that share no names are no rows.
    if (places.size > diffColumnsMax || cells > diffCellsMax || value.length > diffRowsMax) return undefined
  }
  const columns = [...places.keys()]
  const rows = value.map((row) =>
    columns.map((name) => (Object.hasOwn(row, name) ? canonicalJson(row[name] as Json) : undefined)),
  )
  return { columns, named: true, ordered: false, rows }
}

/** A file with one JSON value a line. @throws Unreadable with the line that is none. */
export function linesTable(text: string): Table {
  const values: Json[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    if (values.length >= diffRowsMax) throw new Unreadable(`has more than ${diffRowsMax} rows`)
    try {
      values.push(parseJson(line))
    } catch (error) {
      if (error instanceof Unreadable) throw new Unreadable(`line ${index + 1} ${error.message}`)
      throw error
    }
  }
  const rows = values.every(isObject)
    ? values
    : values.map((value): JsonObject => ({ [VALUE_COLUMN]: value }))
  const table = jsonTable(rows)
  if (table === undefined)
    throw new Unreadable(`has more than ${diffColumnsMax} columns or ${diffCellsMax} cells`)
  return table
}
