import { randomBytes } from 'node:crypto'
import type { EntryReader, EntryView, Frame } from './entry.ts'
import { shown } from './first-names.ts'
import { KeyTable } from './key-table.ts'
import { KeyedHash } from './keyed-hash.ts'
import { quoted, Uncountable } from './uncountable.ts'

/** A reader that refuses a second entry of one name: no member speaks twice of one thing. */
export class DistinctReader implements EntryReader {
  readonly #reader: EntryReader
  readonly #names = new KeyTable(new KeyedHash(randomBytes(8)))

  constructor(reader: EntryReader) {
    this.#reader = reader
  }

  /** @throws Uncountable */
  next(): EntryView | undefined {
    const entry = this.#reader.next()
    if (entry === undefined) return undefined
    const known = this.#names.size
    const name = this.#names.number(entry.key, entry.keyStart, entry.keyEnd)
    if (name === known) return entry
    throw new Uncountable(
      `line ${entry.line}: a second entry with the key ${quoted(shown(this.#names.key(name)))}`,
    )
  }

  frame(): Frame {
    return this.#reader.frame()
  }
}
