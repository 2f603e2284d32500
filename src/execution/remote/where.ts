/**
 * The language in which places for runs are asked for: `memory>=8 && dataset=x && (label.site=zurich || gpu>=1)`.
 * Pure: a text becomes a tree of four kinds of nodes, and the tree is held against facts. Nothing is ever evaluated as
 * code.
 *
 *     or         = and { "||" and }
 *     and        = not { "&&" not }
 *     not        = "!" not | "(" or ")" | comparison
 *     comparison = field ("=" | "!=" | ">=" | "<=" | ">" | "<") value
 *     field      = cpus memory disk gpu | architecture engine peer dataset | label.<name>
 *     value      = a number, for memory and disk in GiB or with a unit | a word | "text in quotes"
 */
import { NodeError } from '../../base/errors.ts'
import { whereCharactersMax, whereDepthMax } from '../../base/limits.ts'

const NUMBERS = ['cpus', 'memory', 'disk', 'gpu'] as const
const TEXTS = ['architecture', 'engine', 'peer', 'dataset'] as const
const OPERATORS = ['=', '!=', '>=', '<=', '>', '<'] as const
type NumberField = (typeof NUMBERS)[number]
type TextField = (typeof TEXTS)[number] | `label.${string}`
type Operator = (typeof OPERATORS)[number]

export type Where =
  | { readonly kind: 'and' | 'or'; readonly of: readonly Where[]; readonly text: string }
  | { readonly kind: 'not'; readonly of: Where; readonly text: string }
  | {
      readonly kind: 'number'
      readonly field: NumberField
      readonly operator: Operator
      /** Bytes for memory and disk. */
      readonly value: number
      readonly text: string
    }
  | {
      readonly kind: 'text'
      readonly field: TextField
      readonly operator: '=' | '!='
      readonly value: string
      readonly text: string
    }

/** What a predicate is held against: one environment of one member. */
export interface Facts {
  readonly cpus: number
  readonly memoryBytes: number
  readonly diskBytes: number
  readonly gpus: number
  readonly architecture: string
  readonly engine: string
  /** All that the member is called: its name, its peer id. */
  readonly peers: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  /** Whether the member holds a dataset. */
  readonly holds: (dataset: string) => boolean
}

const GIB = 1024 ** 3
const UNITS: Readonly<Record<string, number>> = {
  '': GIB,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 1024,
  mib: 1024 ** 2,
  gib: GIB,
  tib: 1024 ** 4,
  k: 1024,
  m: 1024 ** 2,
  g: GIB,
  t: 1024 ** 4,
}

const TOKEN = /\s*(?:(&&|\|\||!=|>=|<=|[=<>!()])|"((?:[^"\\]|\\["\\])*)"|'([^']*)'|([\p{L}\p{N}._:/@+-]+))/uy

interface Token {
  readonly kind: 'sign' | 'word' | 'quoted' | 'end'
  readonly text: string
  readonly from: number
  readonly to: number
}

/** @throws NodeError INVALID_INPUT naming the place, counted in characters from 1, and what was expected there. */
export function parseWhere(text: string): Where {
  if (text.length > whereCharactersMax) {
    throw new NodeError('INVALID_INPUT', `A predicate has at most ${whereCharactersMax} characters`)
  }
  return new Parser(text).parse()
}

class Parser {
  readonly #text: string
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
    this.#tokens = tokensOf(text)
  }

  parse(): Where {
    const where = this.#or()
    const rest = this.#next()
    if (rest.kind !== 'end') throw wrong(this.#text, rest, 'expected && or || or the end')
    return where
  }

  #or(): Where {
    return this.#chain('or', '||', () => this.#and())
  }

  #and(): Where {
    return this.#chain('and', '&&', () => this.#not())
  }

  #chain(kind: 'and' | 'or', sign: string, part: () => Where): Where {
    const { from } = this.#peek()
    const of = [part()]
    while (this.#isSign(sign)) {
      this.#next()
      of.push(part())
    }
    return of.length === 1 ? (of[0] as Where) : { kind, of, text: this.#since(from) }
  }

  #not(): Where {
    const { from } = this.#peek()
    this.#depth += 1
    if (this.#depth > whereDepthMax) {
      throw wrong(this.#text, this.#peek(), `nested deeper than ${whereDepthMax}`)
    }
    try {
      if (this.#isSign('!')) {
        this.#next()
        return { kind: 'not', of: this.#not(), text: this.#since(from) }
      }
      if (!this.#isSign('(')) return this.#comparison()
      this.#next()
      const inner = this.#or()
      const close = this.#next()
      if (close.text !== ')' || close.kind !== 'sign') throw wrong(this.#text, close, 'expected )')
      return inner
    } finally {
      this.#depth -= 1
    }
  }

  #comparison(): Where {
    const name = this.#next()
    const isField = name.kind === 'word' && (isNumberField(name.text) || isTextField(name.text))
    if (!isField) {
      const fields = [...NUMBERS, ...TEXTS, 'label.<name>'].join(', ')
      throw wrong(this.#text, name, `expected one of ${fields}`)
    }
    const sign = this.#next()
    const operator = OPERATORS.find((one) => sign.kind === 'sign' && one === sign.text)
    if (operator === undefined) throw wrong(this.#text, sign, `expected one of ${OPERATORS.join(' ')}`)
    const value = this.#next()
    if (value.kind !== 'word' && value.kind !== 'quoted')
      throw wrong(this.#text, value, `expected a value for ${name.text}`)
    const text = this.#since(name.from)
    if (isNumberField(name.text)) {
      const number = numberOf(name.text, value.text)
      if (number === undefined) throw wrong(this.#text, value, numberRule(name.text))
      return { kind: 'number', field: name.text, operator, value: number, text }
    }
    if (operator !== '=' && operator !== '!=') {
      throw wrong(this.#text, sign, `${name.text} is compared with = or !=`)
    }
    return { kind: 'text', field: name.text as TextField, operator, value: value.text, text }
  }

  #peek(): Token {
    return this.#tokens[this.#at] as Token
  }

  #next(): Token {
    const token = this.#peek()
    if (token.kind !== 'end') this.#at += 1
    return token
  }

  #isSign(text: string): boolean {
    const token = this.#peek()
    return token.kind === 'sign' && token.text === text
  }

  /** The text from there to the last token that was taken. */
  #since(from: number): string {
    return this.#text.slice(from, this.#tokens[this.#at - 1]?.to ?? from).trim()
  }
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  while (text.slice(at).trim() !== '') {
    TOKEN.lastIndex = at
    const found = TOKEN.exec(text)
    if (found === null) {
      const from = at + (text.slice(at).length - text.slice(at).trimStart().length)
      const token: Token = { kind: 'sign', text: text[from] ?? '', from, to: from + 1 }
      const quote = token.text === '"' || token.text === "'"
      throw wrong(text, token, quote ? 'this quote has no end' : 'this cannot stand here')
    }
    const [, sign, double, single, word] = found
    const to = TOKEN.lastIndex
    const said = sign ?? word
    const quoted = double?.replaceAll(/\\(["\\])/g, '$1') ?? single
    const length = found[0].trimStart().length
    const kind = sign !== undefined ? 'sign' : word !== undefined ? 'word' : 'quoted'
    tokens.push({ kind, text: said ?? quoted ?? '', from: to - length, to })
    at = to
  }
  tokens.push({ kind: 'end', text: '', from: text.length, to: text.length })
  return tokens
}

function isNumberField(text: string): text is NumberField {
  return NUMBERS.some((field) => field === text)
}

function isTextField(text: string): boolean {
  return TEXTS.some((field) => field === text) || /^label\.[\w.-]+$/.test(text)
}

function isBytes(field: NumberField): boolean {
  return field === 'memory' || field === 'disk'
}

function numberOf(field: NumberField, text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)([a-zA-Z]*)$/.exec(text) ?? []
  if (digits === undefined) return undefined
  if (!isBytes(field)) return unit === '' ? Number(digits) : undefined
  const factor = UNITS[unit.toLowerCase()]
  return factor === undefined ? undefined : Number(digits) * factor
}

function numberRule(field: NumberField): string {
  return isBytes(field)
    ? `${field} is a number of GiB, or one with a unit such as 512MiB or 2TB`
    : `${field} is a number`
}

function wrong(text: string, at: Token, why: string): NodeError {
  const found = at.kind === 'end' ? 'the end' : `"${at.text}"`
  const place = at.from + 1
  const message = `The predicate cannot be read at character ${place}, ${found}: ${why}\n  ${text}\n  ${' '.repeat(at.from)}^`
  return new NodeError('INVALID_INPUT', message, { place })
}

/** Whether the facts satisfy the predicate. */
export function holds(where: Where, facts: Facts): boolean {
  switch (where.kind) {
    case 'and':
      return where.of.every((part) => holds(part, facts))
    case 'or':
      return where.of.some((part) => holds(part, facts))
    case 'not':
      return !holds(where.of, facts)
    case 'number':
      return compare(numberIn(where.field, facts), where.operator, where.value)
    case 'text':
      return isSaid(where.field, where.value, facts) === (where.operator === '=')
  }
}

/** The first part, of those that all have to hold, that does not: its own text. Undefined when all hold. */
export function failing(where: Where, facts: Facts): string | undefined {
  if (holds(where, facts)) return undefined
  const part = where.kind === 'and' ? where.of.find((each) => !holds(each, facts)) : undefined
  return part === undefined ? where.text : (failing(part, facts) ?? part.text)
}

function numberIn(field: NumberField, facts: Facts): number {
  if (field === 'memory') return facts.memoryBytes
  if (field === 'disk') return facts.diskBytes
  return field === 'gpu' ? facts.gpus : facts.cpus
}

function compare(a: number, operator: Operator, b: number): boolean {
  switch (operator) {
    case '=':
      return a === b
    case '!=':
      return a !== b
    case '>=':
      return a >= b
    case '<=':
      return a <= b
    case '>':
      return a > b
    case '<':
      return a < b
  }
}

function isSaid(field: TextField, value: string, facts: Facts): boolean {
  if (field === 'peer') return facts.peers.includes(value)
  if (field === 'dataset') return facts.holds(value)
  if (field === 'architecture') return facts.architecture === value
  if (field === 'engine') return facts.engine === value
  const label = field.slice('label.'.length)
  return Object.hasOwn(facts.labels, label) && facts.labels[label] === value
}
