/** The rows of a table as entries. */
import { entriesMax, entryCellsMax } from '../../base/limits-consensus.ts'
import { CsvScanner } from './csv-scanner.ts'
import {
  type EntryReader,
  type EntryView,
  type Frame,
  LF_ENDING,
  NO_ENDING,
  NOTHING,
  newEntryView,
} from './entry.ts'
import { quoted, Uncountable } from './uncountable.ts'

const COMMA = 0x2c
const text = new TextDecoder('utf-8', { ignoreBOM: true })

export interface CsvParts {
  readonly key: readonly string[]
  /** Called with the columns before the first row, gives what is asked of each row. @throws Uncountable */
  readonly onColumns?: ((columns: readonly string[]) => ((row: CsvScanner) => void) | undefined) | undefined
}

/** Reads a table of valid UTF-8 row by row. */
export class CsvReader implements EntryReader {
  readonly #scanner: CsvScanner
  readonly #columns: readonly string[]
  readonly #ending: EntryView['ending']
  readonly #check: ((row: CsvScanner) => void) | undefined
  readonly #row: RowView
  #rows = 0
  #before: Uint8Array
  #unterminated: boolean

  /** @throws Uncountable */
  constructor(bytes: Uint8Array, { key, onColumns }: CsvParts) {
    const mark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
    const scanner = new CsvScanner(bytes, mark)
    if (!scanner.next() || scanner.end === scanner.start) {
      throw new Uncountable('line 1: the names of the columns are missing')
    }
    const columns = fieldsOf(bytes, scanner).map(fieldText)
    const twice = columns.find((name, i) => columns.indexOf(name) !== i)
    if (twice !== undefined) throw new Uncountable(`line 1: two columns are named ${quoted(twice)}`)
    const keys = key.map((name) => {
      const index = columns.indexOf(name)
      if (index < 0) throw new Uncountable(`line 1: no column is named ${quoted(name)}`)
      return index
    })
    this.#scanner = scanner
    this.#columns = columns
    this.#check = onColumns?.(columns)
    this.#ending = scanner.ending === NO_ENDING ? LF_ENDING : scanner.ending
    this.#before = withEnding(bytes.subarray(0, scanner.end), this.#ending)
    this.#unterminated = scanner.ending === NO_ENDING
    this.#row = new RowView(bytes, keys)
  }

  next(): EntryView | undefined {
    const scanner = this.#scanner
    if (!scanner.next()) return undefined
    const columns = this.#columns.length
    if (scanner.fields !== columns) throw ragged(scanner, columns)
    this.#rows += 1
    if (this.#rows > entriesMax) throw new Uncountable(`line ${scanner.line}: more than ${entriesMax} rows`)
    if (this.#rows * columns > entryCellsMax) {
      throw new Uncountable(`line ${scanner.line}: more than ${entryCellsMax} cells`)
    }
    this.#check?.(scanner)
    this.#unterminated = scanner.ending === NO_ENDING
    return this.#row.of(scanner, this.#ending)
  }

  frame(): Frame {
    return {
      shape: `table ${this.#columns.map(csvField).join(',')}`,
      columns: this.#columns,
      before: this.#before,
      between: NOTHING,
      after: NOTHING,
      unterminated: this.#unterminated,
    }
  }
}

/** A row as an entry: its key is gathered from the key columns, its value is the row where nothing in it is wordy. */
class RowView {
  readonly #bytes: Uint8Array
  readonly #keys: readonly number[]
  readonly #entry = newEntryView()
  #key = new Uint8Array(256)
  #value = new Uint8Array(1024)

  constructor(bytes: Uint8Array, keys: readonly number[]) {
    this.#bytes = bytes
    this.#keys = keys
  }

  /** @param ending of a last row that has none. */
  of(row: CsvScanner, ending: EntryView['ending']): EntryView {
    const entry = this.#entry
    entry.bytes = this.#bytes
    entry.start = row.start
    entry.end = row.end
    entry.ending = row.ending === NO_ENDING ? ending : row.ending
    entry.line = row.line
    this.#gatherKey(row)
    if (row.wordy) this.#gatherValue(row)
    else {
      entry.value = this.#bytes
      entry.valueStart = row.start
      entry.valueEnd = row.end
    }
    return entry
  }

  #gatherKey(row: CsvScanner): void {
    const entry = this.#entry
    const [only] = this.#keys
    if (this.#keys.length === 1 && only !== undefined) {
      entry.key = this.#bytes
      entry.keyStart = row.starts[only] as number
      entry.keyEnd = row.ends[only] as number
      if (entry.keyStart === entry.keyEnd) throw new Uncountable(`line ${row.line}: the key is empty`)
      return
    }
    let at = 0
    for (const key of this.#keys) {
      if (row.starts[key] === row.ends[key]) throw new Uncountable(`line ${row.line}: the key is empty`)
      const size = (row.ends[key] as number) - (row.starts[key] as number)
      if (at + size + 1 > this.#key.length) this.#key = wider(this.#key, at + size + 1)
      if (at > 0) this.#key[at++] = COMMA
      at = copy(this.#bytes, row.starts[key] as number, row.ends[key] as number, this.#key, at)
    }
    entry.key = this.#key
    entry.keyStart = 0
    entry.keyEnd = at
  }

  #gatherValue(row: CsvScanner): void {
    if (row.end - row.start > this.#value.length) this.#value = wider(this.#value, row.end - row.start)
    let at = 0
    for (let i = 0; i < row.fields; i += 1) {
      if (i > 0) this.#value[at++] = COMMA
      at = copy(this.#bytes, row.starts[i] as number, row.ends[i] as number, this.#value, at)
    }
    this.#entry.value = this.#value
    this.#entry.valueStart = 0
    this.#entry.valueEnd = at
  }
}

/** The fields of the row just read, as they are compared (csv-scanner.ts). */
export function fieldsOf(bytes: Uint8Array, { fields, starts, ends }: CsvScanner): string[] {
  return Array.from({ length: fields }, (_, i) => text.decode(bytes.subarray(starts[i], ends[i])))
}

/** What a field says that is written with as few quotation marks as can be. */
export function fieldText(field: string): string {
  return field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field
}

/** A text as a field with as few quotation marks as can be. */
export function csvField(said: string): string {
  return /[",\r\n]/.test(said) ? `"${said.replaceAll('"', '""')}"` : said
}

function ragged({ line, fields, start, end }: CsvScanner, columns: number): Uncountable {
  if (start === end) return new Uncountable(`line ${line}: empty`)
  return new Uncountable(`line ${line}: ${fields} of ${columns} fields`)
}

function withEnding(bytes: Uint8Array, ending: EntryView['ending']): Uint8Array {
  const ends = ending === LF_ENDING ? [0x0a] : [0x0d, 0x0a]
  return Uint8Array.from([...bytes, ...ends])
}

function wider(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const grown = new Uint8Array(Math.max(size, 2 * bytes.length))
  grown.set(bytes)
  return grown
}

function copy(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): number {
  let place = at
  for (let i = start; i < end; i += 1, place += 1) to[place] = from[i] as number
  return place
}
