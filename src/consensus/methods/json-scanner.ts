/**
 * JSON as RFC 8259 has it, read strictly: no two members of one name, no half of a surrogate pair (RFC 7493), nothing
 * deeper than a bound. Gives what a value says, in one form for all ways of writing it: no white space, members in the
 * order of their names' bytes, strings with as few escapes as can be, numbers as they were written.
 */
import { entryBytesMax, jsonDepthMax } from '../../base/limits-consensus.ts'
import { comparePaths } from '../paths.ts'
import { quoted, Uncountable } from './uncountable.ts'

/** A member of an object: where its name and its value stand. */
export interface Member {
  readonly name: string
  readonly nameStart: number
  readonly start: number
  readonly end: number
  /** What the value says. */
  readonly said: string
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const WORD = /true|false|null/y
/** Up to the next character that ends the string, begins an escape, or may not stand in one. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what JSON forbids
const PLAIN = /[^"\\\u0000-\u001f]*/y
const SPACE = /[ \t\r\n]*/y

export function tooLongEntry(line: number): Uncountable {
  return new Uncountable(`line ${line}: an entry has more than ${entryBytesMax} bytes`)
}

/** What an object says. */
export function saidOf(members: readonly Member[]): string {
  const sorted = [...members].sort((a, b) => comparePaths(a.name, b.name))
  return `{${sorted.map(({ name, said }) => `${JSON.stringify(name)}:${said}`).join(',')}}`
}

export class JsonScanner {
  readonly text: string
  at = 0
  #counted = 0
  #line: number
  #entry = { stop: Infinity, line: 0 }

  /** @param line on which the text begins. */
  constructor(text: string, line = 1) {
    this.text = text
    this.#line = line
  }

  /** Of the place `at`; places are asked for from the first to the last. */
  lineOf(at: number): number {
    for (; ; this.#counted += 1) {
      this.#counted = this.text.indexOf('\n', this.#counted)
      if (this.#counted < 0) this.#counted = this.text.length
      if (this.#counted >= at) return this.#line
      this.#line += 1
    }
  }

  /** An entry begins here; it is read no further than the bytes that one may have. */
  beginEntry(line: number): void {
    // A character has a byte or more.
    this.#entry = { stop: this.at + entryBytesMax, line }
  }

  wrong(what: string): Uncountable {
    return new Uncountable(`line ${this.lineOf(this.at)}: ${what}`)
  }

  space(): void {
    this.#match(SPACE)
  }

  /** Takes `character` if it is the next one. */
  take(character: string): boolean {
    if (this.text[this.at] !== character) return false
    this.at += 1
    return true
  }

  /** Nothing but white space is left. */
  end(): void {
    this.space()
    if (this.at < this.text.length) throw this.wrong('something stands behind the end of the JSON value')
  }

  /** Reads a value. @returns what it says. @throws Uncountable */
  value(depth = 1): string {
    if (this.text[this.at] !== '[') return this.#plain(depth)
    const parts: string[] = []
    this.#array(depth, parts)
    return parts.join(',')
  }

  /** Anything but an array. */
  #plain(depth: number): string {
    this.#check(depth)
    const character = this.text[this.at]
    if (character === '"') return this.string().said
    if (character === '{') {
      return saidOf(this.members(depth))
    }
    const word = this.#match(
      character === '-' || (character !== undefined && character <= '9') ? NUMBER : WORD,
    )
    if (word === '') throw this.wrong(this.at >= this.text.length ? 'the JSON value has no end' : 'not JSON')
    return word
  }

  #check(depth: number): void {
    if (this.at > this.#entry.stop) throw tooLongEntry(this.#entry.line)
    if (depth > jsonDepthMax) throw this.wrong(`nested deeper than ${jsonDepthMax}`)
  }

  /** Reads an object. */
  members(depth = 1): Member[] {
    const members: Member[] = []
    const names = new Set<string>()
    this.at += 1
    this.space()
    if (this.take('}')) return members
    do {
      const member = this.member(depth)
      if (names.has(member.name))
        throw this.wrong(`two members of one object are named ${quoted(member.name)}`)
      names.add(member.name)
      members.push(member)
    } while (this.take(','))
    if (!this.take('}')) throw this.wrong('an object that does not end')
    return members
  }

  /** Reads a member with the white space around it; `end` is where its value ends. */
  member(depth = 1): Member {
    this.space()
    const nameStart = this.at
    if (this.text[this.at] !== '"') throw this.wrong('the name of a member is missing')
    const { text: name } = this.string()
    this.space()
    if (!this.take(':')) throw this.wrong('a member without a colon')
    this.space()
    const start = this.at
    const said = this.value(depth + 1)
    const end = this.at
    this.space()
    return { name, nameStart, start, end, said }
  }

  string(): { text: string; said: string } {
    const start = this.at
    this.at += 1
    let escaped = false
    while (true) {
      this.#match(PLAIN)
      if (this.take('"')) break
      if (!this.take('\\')) throw this.wrong('a string that does not end, or has a control character in it')
      escaped = true
      this.at += 1
    }
    const raw = this.text.slice(start, this.at)
    if (!escaped) return { text: raw.slice(1, -1), said: raw }
    const text = this.#unescaped(raw)
    return { text, said: JSON.stringify(text) }
  }

  #unescaped(raw: string): string {
    let text: unknown
    try {
      text = JSON.parse(raw)
    } catch {
      // Said below, with the line.
    }
    if (typeof text !== 'string') throw this.wrong('a string with an escape that does not exist')
    if (!text.isWellFormed()) throw this.wrong('a string with half of a surrogate pair')
    return text
  }

  /**
   * Arrays within arrays add their values to the same parts, brackets to the first and the last, so that nothing is put
   * together anew at each depth.
   */
  #array(depth: number, parts: string[]): void {
    this.#check(depth)
    this.at += 1
    this.space()
    if (this.take(']')) {
      parts.push('[]')
      return
    }
    const first = parts.length
    do {
      this.space()
      if (this.text[this.at] === '[') this.#array(depth + 1, parts)
      else parts.push(this.#plain(depth + 1))
      this.space()
    } while (this.take(','))
    if (!this.take(']')) throw this.wrong('an array that does not end')
    parts[first] = `[${parts[first]}`
    parts[parts.length - 1] += ']'
  }

  #match(expression: RegExp): string {
    expression.lastIndex = this.at
    const found = expression.exec(this.text)?.[0] ?? ''
    this.at += found.length
    return found
  }
}
