/** What methods ask of a version beyond its being a table: numbers where numbers are due, and not too many labels. */
import { labelEntriesMax } from '../../base/limits-consensus.ts'
import { cellsOf, columnName, isMeasured, isNothing, numberOf } from './cells.ts'
import type { CsvScanner } from './csv-scanner.ts'
import type { EntryReader, EntryView, Frame } from './entry.ts'
import type { EntryMethod } from './file-merge.ts'
import { quoted, Uncountable } from './uncountable.ts'

const text = new TextDecoder('utf-8', { ignoreBOM: true })
const JSON_CELLS = { columns: undefined }
const CSV_CELLS = { columns: [] }

/** For tables: called with the names of the columns, gives the check of each row. */
export function rowCheck(
  method: EntryMethod,
  bytes: Uint8Array,
): ((columns: readonly string[]) => ((row: CsvScanner) => void) | undefined) | undefined {
  if (method.name !== 'numeric' && method.name !== 'dawid-skene') return undefined
  return (columns) => {
    const absent = method.columns?.find((name) => !columns.includes(name))
    if (absent !== undefined) throw new Uncountable(`line 1: no column is named ${quoted(absent)}`)
    if (method.name === 'dawid-skene') return labelCount()
    const measured = [...columns.entries()].filter(([, name]) => isMeasured(method, name))
    return (row) => {
      for (const [i, name] of measured) {
        const said = text.decode(bytes.subarray(row.starts[i], row.ends[i]))
        if (!isNothing(said, CSV_CELLS) && numberOf(said) === undefined) throw noNumber(row.line, name, said)
      }
    }
  }
}

function labelCount(): (at: { readonly line: number }) => void {
  let count = 0
  return ({ line }) => {
    count += 1
    if (count > labelEntriesMax)
      throw new Uncountable(`line ${line}: more than ${labelEntriesMax} entries with labels`)
  }
}

/** A reader of JSON that looks at each entry's cells as well. */
export class CheckedReader implements EntryReader {
  readonly #reader: EntryReader
  readonly #check: ((entry: EntryView) => void) | undefined

  constructor(reader: EntryReader, method: EntryMethod) {
    this.#reader = reader
    if (method.name === 'dawid-skene') this.#check = labelCount()
    else if (method.name === 'numeric') {
      const { shape } = reader.frame()
      this.#check = (entry) => checkNumbers(method, shape, entry)
    }
  }

  next(): EntryView | undefined {
    const entry = this.#reader.next()
    if (entry !== undefined) this.#check?.(entry)
    return entry
  }

  frame(): Frame {
    return this.#reader.frame()
  }
}

function checkNumbers(method: EntryMethod, shape: string, entry: EntryView): void {
  const { byName } = cellsOf(entry.bytes.subarray(entry.start, entry.end), { shape, columns: undefined })
  for (const { name, said } of byName.values()) {
    if (!isMeasured(method, name)) continue
    if (!isNothing(said, JSON_CELLS) && numberOf(said) === undefined) throw noNumber(entry.line, name, said)
  }
}

function noNumber(line: number, name: string, said: string): Uncountable {
  return new Uncountable(`line ${line}: ${quoted(said)} in ${quoted(columnName(name))} is no finite number`)
}
