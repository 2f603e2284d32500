/**
 * CSV as RFC 4180 has it, read strictly and row by row without copying it: where each field stands, and what it says.
 * Fields are compared as they would be written with as few quotation marks as can be, which within the file's own bytes
 * is either the field as it stands or what stands between its quotation marks.
 */
import { entryBytesMax, entryColumnsMax } from '../../base/limits-consensus.ts'
import { CRLF_ENDING, type Ending, LF_ENDING, NO_ENDING } from './entry.ts'
import { Uncountable } from './uncountable.ts'

const COMMA = 0x2c
const QUOTE = 0x22
const CR = 0x0d
const LF = 0x0a

export class CsvScanner {
  readonly #bytes: Uint8Array
  #at: number
  #line = 1
  /** Of the last row read. */
  fields = 0
  readonly starts: Uint32Array
  readonly ends: Uint32Array
  /** True when a field has quotation marks that it does not need, so that the row says something shorter than it is. */
  wordy = false
  start = 0
  end = 0
  ending: Ending = NO_ENDING
  line = 1

  /** @param columnsMax of a row with more of them it is said that it has too many. */
  constructor(bytes: Uint8Array, start: number, columnsMax = entryColumnsMax) {
    this.#bytes = bytes
    this.starts = new Uint32Array(columnsMax)
    this.ends = new Uint32Array(columnsMax)
    this.#at = start
  }

  /** Reads the next row; false at the end of the file. @throws Uncountable */
  next(): boolean {
    const bytes = this.#bytes
    const size = bytes.length
    let at = this.#at
    if (at >= size) return false
    this.start = at
    this.line = this.#line
    this.fields = 0
    this.wordy = false
    while (true) {
      if (bytes[at] === QUOTE) at = this.#quotedField(at)
      else at = this.#plainField(at)
      const byte = bytes[at]
      if (byte === COMMA) {
        at += 1
        continue
      }
      this.end = at
      if (this.end - this.start > entryBytesMax)
        throw this.#wrong(`a row has more than ${entryBytesMax} bytes`)
      if (at >= size) this.ending = NO_ENDING
      else if (byte === LF) {
        this.ending = LF_ENDING
        at += 1
      } else {
        if (bytes[at + 1] !== LF) throw this.#wrong('a carriage return without a line feed')
        this.ending = CRLF_ENDING
        at += 2
      }
      this.#line += 1
      this.#at = at
      return true
    }
  }

  #plainField(start: number): number {
    const bytes = this.#bytes
    const size = bytes.length
    let at = start
    for (; at < size; at += 1) {
      const byte = bytes[at] as number
      // Most bytes are above all that have a meaning here.
      if (byte > COMMA) continue
      if (byte === COMMA || byte === LF || byte === CR) break
      if (byte === QUOTE) throw this.#wrong('a quotation mark within a field that does not begin with one')
      if (byte === 0) throw this.#wrong('a NUL byte')
    }
    this.#field(start, at)
    return at
  }

  #quotedField(start: number): number {
    const bytes = this.#bytes
    const size = bytes.length
    let needed = false
    let at = start + 1
    for (; ; at += 1) {
      if (at >= size) throw this.#wrong('a quotation mark that is never closed')
      const byte = bytes[at] as number
      if (byte > COMMA) continue
      if (byte === QUOTE) {
        if (bytes[at + 1] !== QUOTE) break
        at += 1
        needed = true
      } else if (byte === COMMA || byte === CR) needed = true
      else if (byte === LF) {
        needed = true
        this.#line += 1
      } else if (byte === 0) throw this.#wrong('a NUL byte')
    }
    if (needed) this.#field(start, at + 1)
    else {
      this.#field(start + 1, at)
      this.wordy = true
    }
    at += 1
    const byte = bytes[at]
    if (at < size && byte !== COMMA && byte !== LF && byte !== CR) {
      throw this.#wrong('something stands between a closing quotation mark and the next comma')
    }
    return at
  }

  #field(start: number, end: number): void {
    if (this.fields >= this.starts.length) throw this.#wrong(`more than ${this.starts.length} columns`)
    this.starts[this.fields] = start
    this.ends[this.fields] = end
    this.fields += 1
  }

  #wrong(what: string): Uncountable {
    return new Uncountable(`line ${this.line}: ${what}`)
  }
}
