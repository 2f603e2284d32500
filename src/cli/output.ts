import type { Writable } from 'node:stream'
import { styleText } from 'node:util'
import { problemOf, STATUS_OF } from '../api/problems.ts'
import type { NodeError } from '../base/errors.ts'
import { escapeSteering, printable } from '../base/strangers-words.ts'
import { briefOf } from './brief.ts'
import { drawTable, fitted } from './table.ts'
import { withWayOut } from './ways-out.ts'

export interface OutputParts {
  stdout: Writable
  stderr: Writable
  /** JSON for programs, alone on stdout. */
  json: boolean
  /** Results in their shortest form, and no word beside them but errors. */
  quiet?: boolean
  /** With NO_COLOR set, or where the stream is no terminal, there are no colours. */
  environment: Readonly<Record<string, string | undefined>>
}

export type Pair = readonly [name: string, value: string]

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

/**
 * What a command says: its result on stdout, everything else on stderr. All of it may hold what strangers wrote, so that
 * nothing but what was styled here reaches a terminal as a control sequence, whichever command it comes from.
 */
export class Output {
  readonly json: boolean
  readonly quiet: boolean
  readonly #stdout: Writable
  readonly #stderr: Writable
  readonly #plain: boolean
  /** What this very output has styled, so that a peer's own sequences are told from it. */
  readonly #styled = new Set<string>()

  constructor(parts: OutputParts) {
    this.json = parts.json
    this.quiet = parts.quiet === true
    this.#stdout = parts.stdout
    this.#stderr = parts.stderr
    const { NO_COLOR, FORCE_COLOR } = parts.environment
    const forced = FORCE_COLOR !== undefined && FORCE_COLOR !== '0'
    this.#plain = (NO_COLOR !== undefined && NO_COLOR !== '') || !(forced || isTerminal(parts.stdout))
  }

  /**
   * The result: `value` for programs, what `render` makes of it for people.
   *
   * @param brief what `--quiet` leaves of it, where that is not the name of the thing or those of the list.
   */
  result(value: unknown, render: () => string, brief: () => string | undefined = () => briefOf(value)): void {
    const text = this.json
      ? jsonText(value, 2)
      : this.#clean((this.quiet ? brief() : undefined) ?? render(), LAYOUT)
    if (text !== '') this.#stdout.write(`${text}\n`)
  }

  /** One of many results that come one by one: a line of JSON each for programs. */
  item(value: unknown, render: () => string): void {
    this.#stdout.write(`${this.json ? jsonText(value) : this.#clean(render(), LAYOUT)}\n`)
  }

  /** A result that takes the place of the one before: on a terminal the screen is cleared for it. */
  screen(value: unknown, render: () => string): void {
    if (!this.json && isTerminal(this.#stdout)) this.#stdout.write('\u001b[H\u001b[2J')
    this.item(value, render)
  }

  /** Bytes of something else, such as a log; beside JSON they go to stderr. A terminal gets no control sequences. */
  raw(text: string): void {
    writeRaw(this.json ? this.#stderr : this.#stdout, text)
  }

  /** The same of another program's progress, which is no result. */
  rawNote(text: string): void {
    writeRaw(this.#stderr, text)
  }

  /** Progress and advice, for people only. */
  note(text: string): void {
    if (!this.quiet) this.stderr(text)
  }

  /** What is said whatever was asked for, such as the stack of a defect. */
  stderr(text: string): void {
    this.#stderr.write(`${this.#clean(text, LAYOUT)}\n`)
  }

  /** Says what went wrong: a sentence, and beside `--json` the whole problem. */
  failure(error: NodeError): void {
    const { code, message, data } = error
    const text = this.json
      ? jsonText(problemOf(code, STATUS_OF[code], message, data))
      : `maoctl: ${printable(withWayOut(code, message))} (${code})`
    this.#stderr.write(`${text}\n`)
  }

  /** Columns without lines between them, as `docker ps` has them; on a terminal as wide as it is, elsewhere whole. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): string {
    const titles = head.map((title) => title.toUpperCase())
    const cells = rows.map((row) => row.map((cell) => this.#clean(cell, ' ')))
    const width = widthOfTerminal(this.#stdout)
    return drawTable(
      titles.map((title) => this.style('bold', title)),
      width === undefined ? cells : fitted(titles, cells, width),
    )
  }

  /** Names and values, one pair a line. */
  pairs(pairs: readonly Pair[]): string {
    const width = Math.max(...pairs.map(([name]) => name.length))
    return pairs
      .map(([name, value]) => `${this.style('bold', `${name}:`.padEnd(width + 1))} ${this.#clean(value)}`)
      .join('\n')
  }

  /** What others may have written, fit for a terminal. */
  said(text: string): string {
    return printable(text, '')
  }

  style(style: Style, text: string): string {
    if (this.#plain) return text
    const styled = styleText(style, printable(text), { validateStream: false })
    if (this.#styled.size < STYLED_MAX) this.#styled.add(styled)
    return styled
  }

  /** What others wrote without what steers a terminal; what was styled here stays so. */
  #clean(text: string, kept?: string): string {
    if (this.#styled.size === 0) return printable(text, kept)
    return text
      .split(STYLED)
      .map((piece) => (this.#styled.has(piece) ? piece : printable(piece, kept)))
      .join('')
  }

  /** The state of a run or round, coloured by how good it is. */
  state(state: string): string {
    if (GOOD.has(state)) return this.style('green', state)
    return this.style(BAD.has(state) ? 'red' : 'yellow', state)
  }
}

const GOOD = new Set(['succeeded', 'decided', 'steady'])
const BAD = new Set([
  'failed',
  'oom-killed',
  'timed-out',
  'rejected',
  'errored',
  'lost',
  'undecided',
  'spike',
])

// biome-ignore lint/suspicious/noControlCharactersInRegex: it is control characters that are looked for
const STYLED = /(\u001b\[\d+m[^\u001b]*\u001b\[\d+m)/
/** Styled texts that are remembered; a command that is watched for days says the same few over and over. */
const STYLED_MAX = 10_000

/** What lays text out in lines and columns. */
const LAYOUT = '\n\t'

/** JSON that a terminal shows as it is: what would steer it stands as `\\uXXXX`, which programs read as the same. */
export function jsonText(value: unknown, indent?: number): string {
  return escapeSteering(JSON.stringify(value, null, indent))
}

function writeRaw(stream: Writable, text: string): void {
  stream.write(isTerminal(stream) ? printable(text, '\n\t\r') : text)
}

/** How many letters a line of it takes, where it is a terminal that says so. */
function widthOfTerminal(stream: Writable): number | undefined {
  if (!isTerminal(stream) || !('columns' in stream)) return undefined
  return typeof stream.columns === 'number' && stream.columns > 0 ? stream.columns : undefined
}

function isTerminal(stream: Writable): boolean {
  return 'isTTY' in stream && stream.isTTY === true
}

/** Milliseconds since 1970 as people read them. */
export function timeText(timeMs: number | undefined): string {
  if (timeMs === undefined) return '-'
  return new Date(timeMs)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')
}

/** The first letters of an id: enough for people to tell one from another. */
export function shortId(id: string | undefined): string {
  return id === undefined ? '-' : id.slice(0, 10)
}

/** A span of time as people say it. */
export function spanText(ms: number): string {
  if (ms < 1_000) return `${ms} ms`
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  const minutes = Math.floor(seconds / 60)
  return minutes < 60
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** A number of bytes as people say it. */
export function bytesText(bytes: number): string {
  if (bytes < 1_024) return `${bytes} bytes`
  if (bytes < 1_024 ** 2) return `${(bytes / 1_024).toFixed(1)} KiB`
  if (bytes < 1_024 ** 3) return `${(bytes / 1_024 ** 2).toFixed(1)} MiB`
  return `${(bytes / 1_024 ** 3).toFixed(1)} GiB`
}

/** Such as `1 file` and `2 files`. */
export function countText(count: number, noun: string, nouns = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : nouns}`
}
