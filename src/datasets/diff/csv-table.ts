/** CSV as RFC 4180 has it, and as programs write it: other delimiters, a byte order mark, any line ends. */
import { parse } from 'csv-parse/sync'
import { diffCellsMax, diffRowBytesMax, diffRowsMax } from '../../base/limits.ts'
import { canonicalNumber } from './number-writing.ts'
import type { Table } from './table.ts'
import { Unreadable } from './unreadable.ts'

const DELIMITERS = [',', ';', '\t'] as const
export type Delimiter = (typeof DELIMITERS)[number]

/**
 * Two files as tables. Their first line names the columns if it looks like names on both sides, since only one of two
 * versions with a line of names would be another kind of file.
 *
 * @throws Unreadable with the reason when one of them is no CSV, or has more in it than is compared by rows.
 */
export function csvTables(from: string, to: string, tabs: boolean): { from: Table; to: Table } {
  const [a, b] = [readRecords(withoutMark(from), tabs), readRecords(withoutMark(to), tabs)]
  const named = looksNamed(a) && looksNamed(b) && a.length + b.length > 0
  return { from: tableOf(a, b, named), to: tableOf(b, a, named) }
}

/** Programs of one large vendor begin every text with a byte order mark. */
function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text
}

function readRecords(text: string, tabs: boolean): string[][] {
  const delimiter = tabs ? '\t' : delimiterOf(text)
  let cells = 0
  const count = (record: string[]) => {
    cells += record.length
    if (cells > diffCellsMax) throw new Unreadable(`has more than ${diffCellsMax} cells`)
    return record
  }
  // One more than is allowed, and the names, to notice it.
  const recordsMax = diffRowsMax + 2
  const records = text.includes('"')
    ? parseQuoted(text, delimiter, recordsMax, count)
    : splitPlain(text, delimiter, recordsMax, count)
  if (records.length > diffRowsMax + 1) throw new Unreadable(`has more than ${diffRowsMax} rows`)
  return records
}

type OnRecord = (record: string[]) => string[]

/** Without a quote, lines and delimiters are all there is to find, and that many times faster. */
export function splitPlain(
  text: string,
  delimiter: Delimiter,
  recordsMax: number,
  onRecord: OnRecord,
): string[][] {
  const records: string[][] = []
  const lines = text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text
  // Line by line: a file of nothing but line breaks must not become a list of as many.
  for (let start = 0; start < lines.length && records.length < recordsMax; ) {
    const found = lines.indexOf('\n', start)
    const end = found === -1 ? lines.length : found
    if (end - start > diffRowBytesMax)
      throw new Unreadable(`has a row of more than ${diffRowBytesMax} characters`)
    if (end > start) records.push(onRecord(lines.slice(start, end).split(delimiter)))
    start = end + 1
  }
  return records
}

export function parseQuoted(
  text: string,
  delimiter: Delimiter,
  recordsMax: number,
  onRecord: OnRecord,
): string[][] {
  try {
    return parse(text, {
      delimiter,
      record_delimiter: ['\r\n', '\n', '\r'],
      relax_column_count: true,
      skip_empty_lines: true,
      max_record_size: diffRowBytesMax,
      on_record: onRecord,
      to: recordsMax,
    })
  } catch (cause) {
    if (cause instanceof Unreadable) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Unreadable(`is not readable as CSV: ${reason}`, { cause })
  }
}

/** The delimiter that stands most often in the first line, outside of quotes; a comma when none does. Pure. */
export function delimiterOf(text: string): Delimiter {
  const counts = new Map<string, number>(DELIMITERS.map((delimiter) => [delimiter, 0]))
  let quoted = false
  for (let at = 0; at < Math.min(text.length, diffRowBytesMax); at += 1) {
    const character = text[at] as string
    if (character === '"') quoted = !quoted
    if (quoted) continue
    if (character === '\n' || character === '\r') break
    const count = counts.get(character)
    if (count !== undefined) counts.set(character, count + 1)
  }
  return DELIMITERS.reduce((best, next) => ((counts.get(next) ?? 0) > (counts.get(best) ?? 0) ? next : best))
}

/** Names are there, differ from one another and are no numbers. An empty file goes with whatever the other one has. */
function looksNamed([first]: readonly (readonly string[])[]): boolean {
  if (first === undefined) return true
  const names = first.map((name) => name.trim())
  return (
    new Set(names).size === names.length &&
    // The first column may be without a name: so data frames write their row numbers.
    names.every(
      (name, index) =>
        (name !== '' || (index === 0 && names.length > 1)) && canonicalNumber(name) === undefined,
    )
  )
}

function tableOf(records: readonly string[][], others: readonly string[][], named: boolean): Table {
  const rows = named ? records.slice(1) : records
  const width = rows.reduce((most, row) => Math.max(most, row.length), 0)
  // An empty file has whatever columns the other one has: what it lacks is rows.
  const names = named ? (records[0] ?? others[0] ?? []).map((name) => name.trim()) : []
  const columns = [...names]
  // What goes beyond the names is told by its place, in a way that no name is likely to have.
  while (columns.length < width) columns.push(named ? `#${columns.length + 1}` : String(columns.length + 1))
  return { columns, named, ordered: true, rows }
}
