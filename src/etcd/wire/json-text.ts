/**
 * JSON as Go's decoder takes it: numbers stay text, since JavaScript's do not hold 64 bits; values may follow one
 * another; and what is wrong is said in Go's words, which etcd's gateway hands on.
 */
import { etcdJsonDepthMax } from '../../base/limits.ts'

export class JsonNumber {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}
/** An object is a map, so that no key of a stranger is a property of anything. */
export type JsonValue = null | boolean | string | JsonNumber | JsonValue[] | Map<string, JsonValue>

export class JsonError extends Error {
  constructor(text: string) {
    super(text)
    this.name = 'JsonError'
  }
}

const SPACE = /[ \t\r\n]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
// A quote, or what must be looked at before it.
const STRING_STOP = /["\\]|[^ -\uffff]/g
const LITERALS: readonly (readonly [text: string, value: JsonValue])[] = [
  ['true', true],
  ['false', false],
  ['null', null],
]
const BEGIN_VALUE = 'looking for beginning of value'

/** The first value of `text`; what follows it is not looked at. @returns undefined: there is none. @throws JsonError */
export function firstJsonValue(text: string): JsonValue | undefined {
  const parser = new Parser(text, 'unexpected EOF')
  return parser.isAtEnd() ? undefined : parser.value(0)
}

/** The one value of `text`. @throws JsonError */
export function onlyJsonValue(text: string): JsonValue {
  const parser = new Parser(text, 'unexpected end of JSON input')
  if (parser.isAtEnd()) throw new JsonError('unexpected end of JSON input')
  const value = parser.value(0)
  if (!parser.isAtEnd()) throw parser.unexpected('after top-level value')
  return value
}

class Parser {
  readonly #text: string
  readonly #truncated: string
  #at = 0

  constructor(text: string, truncated: string) {
    this.#text = text
    this.#truncated = truncated
  }

  isAtEnd(): boolean {
    SPACE.lastIndex = this.#at
    SPACE.test(this.#text)
    this.#at = SPACE.lastIndex
    return this.#at === this.#text.length
  }

  value(depth: number): JsonValue {
    if (depth > etcdJsonDepthMax) throw new JsonError('exceeded max depth')
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth)
      case '[':
        return this.#array(depth)
      case '"':
        return this.#string()
      case 't':
      case 'f':
      case 'n':
        return this.#literal()
      default:
        return this.#number()
    }
  }

  unexpected(where: string): JsonError {
    const character = this.#text[this.#at]
    if (character === undefined) return new JsonError(this.#truncated)
    const shown = character === "'" ? "\\'" : character === '"' ? '"' : JSON.stringify(character).slice(1, -1)
    return new JsonError(`invalid character '${shown}' ${where}`)
  }

  #object(depth: number): JsonValue {
    const object = new Map<string, JsonValue>()
    this.#at++
    if (this.#next() === '}') return this.#closed(object)
    for (;;) {
      if (this.#next() !== '"') throw this.unexpected('looking for beginning of object key string')
      const key = this.#string()
      if (this.#next() !== ':') throw this.unexpected('after object key')
      this.#at++
      this.#next()
      object.set(key, this.value(depth + 1))
      if (this.#next() === '}') return this.#closed(object)
      if (this.#next() !== ',') throw this.unexpected('after object key:value pair')
      this.#at++
    }
  }

  #array(depth: number): JsonValue {
    const array: JsonValue[] = []
    this.#at++
    if (this.#next() === ']') return this.#closed(array)
    for (;;) {
      this.#next()
      array.push(this.value(depth + 1))
      if (this.#next() === ']') return this.#closed(array)
      if (this.#next() !== ',') throw this.unexpected('after array element')
      this.#at++
    }
  }

  #closed<T>(value: T): T {
    this.#at++
    return value
  }

  /** Passes over space. */
  #next(): string | undefined {
    this.isAtEnd()
    return this.#text[this.#at]
  }

  #string(): string {
    const from = this.#at
    let escaped = false
    STRING_STOP.lastIndex = from + 1
    for (;;) {
      const stop = STRING_STOP.exec(this.#text)
      this.#at = stop?.index ?? this.#text.length
      if (stop === null || stop[0] < ' ') throw this.unexpected('in string literal')
      if (stop[0] === '"') break
      escaped = true
      this.#escape()
      STRING_STOP.lastIndex = this.#at
    }
    this.#at++
    const literal = this.#text.slice(from, this.#at)
    return escaped ? (JSON.parse(literal) as string) : literal.slice(1, -1)
  }

  #escape(): void {
    this.#at++
    const character = this.#text[this.#at]
    if (character === undefined || !'"\\/bfnrtu'.includes(character))
      throw this.unexpected('in string escape code')
    this.#at++
    if (character !== 'u') return
    for (const end = this.#at + 4; this.#at < end; this.#at++) {
      if (/[^\da-fA-F]/.test(this.#text[this.#at] ?? ' ')) {
        throw this.unexpected('in \\u hexadecimal character escape')
      }
    }
  }

  #literal(): JsonValue {
    const [word, value] = LITERALS.find(([literal]) => literal[0] === this.#text[this.#at]) as [
      string,
      JsonValue,
    ]
    for (const letter of word) {
      if (this.#text[this.#at] !== letter) throw this.unexpected(`in literal ${word} (expecting '${letter}')`)
      this.#at++
    }
    return value
  }

  #number(): JsonNumber {
    NUMBER.lastIndex = this.#at
    const [text] = NUMBER.exec(this.#text) ?? []
    if (text === undefined) {
      const negative = this.#text[this.#at] === '-'
      if (negative) this.#at++
      throw this.unexpected(negative ? 'in numeric literal' : BEGIN_VALUE)
    }
    this.#at += text.length
    return new JsonNumber(text)
  }
}
