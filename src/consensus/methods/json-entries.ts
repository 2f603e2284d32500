/** The elements of a JSON array, the members of a JSON object, or the lines of JSON Lines, as entries. */
import { entriesMax, entryBytesMax, jsonFileBytesMax } from '../../base/limits-consensus.ts'
import { csvField } from './csv-entries.ts'
import {
  CRLF_ENDING,
  type Ending,
  type EntryReader,
  type EntryView,
  type Frame,
  LF_ENDING,
  NO_ENDING,
  NOTHING,
  newEntryView,
} from './entry.ts'
import { JsonScanner, type Member, saidOf, tooLongEntry } from './json-scanner.ts'
import { quoted, Uncountable } from './uncountable.ts'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder = new TextEncoder()
const LF = 0x0a
const CR = 0x0d

/** Reads one JSON value: an array of objects, or an object whose members are the entries. */
export class JsonReader implements EntryReader {
  readonly #scanner: JsonScanner
  readonly #key: readonly string[]
  readonly #kind: 'array' | 'object'
  readonly #entry = newEntryView()
  /** Behind the bracket. */
  readonly #inside: number
  #names = new Set<string>()
  #count = 0
  #first = { start: 0, end: 0 }
  #secondStart = 0
  #lastEnd = 0

  /** @throws Uncountable */
  constructor(bytes: Uint8Array, key: readonly string[]) {
    if (bytes.length > jsonFileBytesMax) throw new Uncountable(`more than ${jsonFileBytesMax} bytes of JSON`)
    const text = decoder.decode(bytes)
    refuseMark(text)
    const scanner = new JsonScanner(text)
    scanner.space()
    if (scanner.take('[')) this.#kind = 'array'
    else if (scanner.take('{')) this.#kind = 'object'
    else throw scanner.wrong('neither an array nor an object of entries')
    this.#scanner = scanner
    this.#key = key
    this.#inside = scanner.at
  }

  next(): EntryView | undefined {
    const scanner = this.#scanner
    const close = this.#kind === 'array' ? ']' : '}'
    const comma = this.#count > 0 && scanner.take(',')
    if (!comma) {
      if (this.#count === 0) scanner.space()
      if (scanner.take(close)) {
        scanner.end()
        return undefined
      }
      if (this.#count > 0) throw scanner.wrong('neither a comma nor the end of the entries')
    }
    scanner.space()
    this.#count += 1
    if (this.#count > entriesMax) throw scanner.wrong(`more than ${entriesMax} entries`)
    return this.#kind === 'array' ? this.#element() : this.#member()
  }

  frame(): Frame {
    const { text } = this.#scanner
    const count = this.#count
    const end = count === 0 ? this.#inside : this.#first.start
    const inner = text.slice(this.#inside, end)
    const between = count > 1 ? text.slice(this.#first.end, this.#secondStart) : `,${inner}`
    return {
      shape: this.#kind,
      columns: undefined,
      before: encoder.encode(text.slice(0, end)),
      between: encoder.encode(between),
      after: encoder.encode(text.slice(count === 0 ? this.#inside : this.#lastEnd)),
      unterminated: false,
    }
  }

  #element(): EntryView {
    const scanner = this.#scanner
    const start = scanner.at
    const line = scanner.lineOf(start)
    if (scanner.text[start] !== '{') throw scanner.wrong('an entry that is no object')
    scanner.beginEntry(line)
    const { key, said } = objectEntry(scanner, this.#key, line, 2)
    const end = scanner.at
    scanner.space()
    return this.#view(start, end, line, key, said)
  }

  #member(): EntryView {
    const scanner = this.#scanner
    const line = scanner.lineOf(scanner.at)
    scanner.beginEntry(line)
    const { name, nameStart, end, said } = scanner.member(1)
    if (name === '') throw new Uncountable(`line ${line}: the key is empty`)
    if (this.#names.has(name))
      throw new Uncountable(`line ${line}: a second entry with the key ${quoted(name)}`)
    this.#names.add(name)
    return this.#view(nameStart, end, line, csvField(name), `${JSON.stringify(name)}:${said}`)
  }

  #view(start: number, end: number, line: number, key: string, said: string): EntryView {
    if (this.#count === 1) this.#first = { start, end }
    if (this.#count === 2) this.#secondStart = start
    this.#lastEnd = end
    return filled(this.#entry, this.#scanner.text.slice(start, end), NO_ENDING, line, key, said)
  }
}

/** Reads JSON Lines: an object on each line, none of them empty. */
export class JsonLinesReader implements EntryReader {
  readonly #bytes: Uint8Array
  readonly #key: readonly string[]
  readonly #entry = newEntryView()
  #at = 0
  #line = 0
  /** Of the first line, for a last line that has none. */
  #ending: Ending = LF_ENDING
  #unterminated = false

  constructor(bytes: Uint8Array, key: readonly string[]) {
    this.#bytes = bytes
    this.#key = key
  }

  next(): EntryView | undefined {
    const bytes = this.#bytes
    if (this.#at >= bytes.length) return undefined
    this.#line += 1
    if (this.#line > entriesMax) throw new Uncountable(`line ${this.#line}: more than ${entriesMax} entries`)
    const start = this.#at
    const feed = bytes.indexOf(LF, start)
    const stop = feed < 0 ? bytes.length : feed
    const end = feed > start && bytes[feed - 1] === CR ? feed - 1 : stop
    if (end - start > entryBytesMax)
      throw new Uncountable(`line ${this.#line}: more than ${entryBytesMax} bytes`)
    this.#unterminated = feed < 0
    if (feed >= 0) {
      const ending = end < stop ? CRLF_ENDING : LF_ENDING
      if (this.#line === 1) this.#ending = ending
      this.#at = feed + 1
      return this.#view(decoder.decode(bytes.subarray(start, end)), ending)
    }
    this.#at = stop
    return this.#view(decoder.decode(bytes.subarray(start, end)), this.#ending)
  }

  frame(): Frame {
    return {
      shape: 'lines',
      columns: undefined,
      before: NOTHING,
      between: NOTHING,
      after: NOTHING,
      unterminated: this.#unterminated,
    }
  }

  #view(text: string, ending: Ending): EntryView {
    const line = this.#line
    if (line === 1) refuseMark(text)
    const scanner = new JsonScanner(text, line)
    scanner.space()
    if (scanner.at >= text.length) throw new Uncountable(`line ${line}: empty`)
    if (text[scanner.at] !== '{') throw scanner.wrong('an entry that is no object')
    const { key, said } = objectEntry(scanner, this.#key, line, 1)
    scanner.end()
    return filled(this.#entry, text, ending, line, key, said)
  }
}

/** Reads an object that is an entry. */
function objectEntry(scanner: JsonScanner, key: readonly string[], line: number, depth: number) {
  const members = scanner.members(depth)
  const names = key.map((name) => csvField(keyText(members, name, line)))
  return { key: names.join(','), said: saidOf(members) }
}

function keyText(members: readonly Member[], name: string, line: number): string {
  const said = members.find((member) => member.name === name)?.said
  if (said === undefined) throw new Uncountable(`line ${line}: no member is named ${quoted(name)}`)
  if (said.startsWith('"')) {
    const text: string = JSON.parse(said)
    if (text === '') throw new Uncountable(`line ${line}: the key is empty`)
    return text
  }
  if (!/^[-0-9]/.test(said)) throw new Uncountable(`line ${line}: the key is neither a text nor a number`)
  return said
}

function filled(
  entry: EntryView,
  raw: string,
  ending: Ending,
  line: number,
  key: string,
  said: string,
): EntryView {
  entry.bytes = encoder.encode(raw)
  entry.start = 0
  entry.end = entry.bytes.length
  if (entry.end > entryBytesMax) throw tooLongEntry(line)
  entry.value = said === raw ? entry.bytes : encoder.encode(said)
  entry.valueStart = 0
  entry.valueEnd = entry.value.length
  entry.key = encoder.encode(key)
  entry.keyStart = 0
  entry.keyEnd = entry.key.length
  entry.ending = ending
  entry.line = line
  return entry
}

function refuseMark(text: string): void {
  if (text.startsWith('\ufeff')) throw new Uncountable('line 1: a byte order mark, which JSON does not have')
}
