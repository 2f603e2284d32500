/** What stands within an entry, for methods that agree cell by cell. */
import { comparePaths } from '../paths.ts'
import { fieldsOf } from './csv-entries.ts'
import { CsvScanner } from './csv-scanner.ts'
import type { Frame } from './entry.ts'
import type { EntryMethod } from './file-merge.ts'
import { JsonScanner } from './json-scanner.ts'

export interface Cell {
  /** The column's or member's name; `LONE` for an entry that is no object. */
  readonly name: string
  /** What it says: equal texts are equal cells. */
  readonly said: string
  /** As it was written. */
  readonly raw: string
}

export interface Cells {
  readonly byName: ReadonlyMap<string, Cell>
  /** Puts agreed cells, as they are to be written, in place of its own; one that is not named is left out. */
  compose(raws: ReadonlyMap<string, string>): string
}

/** The name of the one cell of an entry that is no object: half of a surrogate pair, which no column and no member has. */
export const LONE = '\ud800'

const text = new TextDecoder('utf-8', { ignoreBOM: true })
const QUOTE = 0x22
const DECIMAL = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/

/** The number that a cell says, undefined where it says none, or one beyond what a double holds. */
export function numberOf(said: string | undefined): number | undefined {
  if (said === undefined || !DECIMAL.test(said)) return undefined
  const value = Number(said)
  return Number.isFinite(value) ? value : undefined
}

/** A cell that says nothing: an empty field, `null`, or a member that is not there. */
export function isNothing(said: string | undefined, { columns }: Pick<Frame, 'columns'>): boolean {
  return said === undefined || said === (columns === undefined ? 'null' : '')
}

/** A column's name for people. */
export function columnName(name: string): string {
  return name === LONE ? '' : name
}

/** Whether the method takes the column for numbers, or for labels. An entry that is no object is one such cell. */
export function isMeasured(method: EntryMethod, name: string): boolean {
  if (method.name !== 'numeric' && method.name !== 'dawid-skene') return false
  if (name === LONE) return true
  // A column that names entries is no measurement, whatever a rule says.
  return !method.key.includes(name) && (method.columns === undefined || method.columns.includes(name))
}

/** @param written an entry of a version with this frame, as it was written and without its ending. */
export function cellsOf(written: Uint8Array, frame: Pick<Frame, 'columns' | 'shape'>): Cells {
  if (frame.columns !== undefined) return rowCells(written, frame.columns)
  const scanner = new JsonScanner(text.decode(written))
  if (frame.shape !== 'object') return objectCells(scanner, 0)
  const { start, said, end } = scanner.member()
  if (scanner.text[start] !== '{') {
    const raw = scanner.text.slice(start, end)
    const [before, after] = [scanner.text.slice(0, start), scanner.text.slice(end)]
    const name = LONE
    return {
      byName: new Map([[name, { name, said, raw }]]),
      compose: (raws) => `${before}${raws.get(name) ?? raw}${after}`,
    }
  }
  return objectCells(scanner, start)
}

function rowCells(written: Uint8Array, columns: readonly string[]): Cells {
  const scanner = new CsvScanner(written, 0, columns.length)
  scanner.next()
  const said = fieldsOf(written, scanner)
  const byName = new Map<string, Cell>()
  let end = -1
  for (const [i, name] of columns.entries()) {
    const start = end + 1
    // A field that is compared without its quotation marks begins behind one.
    const bare = (scanner.starts[i] as number) > start && written[start] === QUOTE
    end = (scanner.ends[i] as number) + (bare ? 1 : 0)
    byName.set(name, { name, said: said[i] as string, raw: text.decode(written.subarray(start, end)) })
  }
  return { byName, compose: (raws) => columns.map((name) => raws.get(name) ?? '').join(',') }
}

function objectCells(scanner: JsonScanner, from: number): Cells {
  scanner.at = from
  scanner.space()
  const { text: all } = scanner
  const members = scanner.members()
  const byName = new Map(
    members.map(({ name, said, start, end }) => [name, { name, said, raw: all.slice(start, end) }]),
  )
  const behind = scanner.at
  const compose = (raws: ReadonlyMap<string, string>): string => {
    const same = raws.size === members.length && members.every(({ name }) => raws.has(name))
    if (!same) return all.slice(0, from) + compact([...byName.keys()], raws) + all.slice(behind)
    let composed = ''
    let at = 0
    for (const { name, start, end } of members) {
      composed += all.slice(at, start) + raws.get(name)
      at = end
    }
    return composed + all.slice(at)
  }
  return { byName, compose }
}

/** An object of other members than any that was written: the known ones in their order, then those by their bytes. */
function compact(known: readonly string[], raws: ReadonlyMap<string, string>): string {
  const further = [...raws.keys()].filter((name) => !known.includes(name)).sort(comparePaths)
  const names = [...known.filter((name) => raws.has(name)), ...further]
  return `{${names.map((name) => `${JSON.stringify(name)}:${raws.get(name)}`).join(',')}}`
}
