import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { eventually } from './eventually.ts'

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')
const APPEARS_TIMEOUT_MS = 30_000

/** Keys as a terminal sends them. */
export const KEY = {
  enter: '\r',
  down: '\u001b[B',
  up: '\u001b[A',
  space: ' ',
  ctrlC: '\u0003',
  ctrlD: '\u0004',
} as const

export interface TypedSession {
  /** Waits until the words appear after whatever was waited for before. @returns all that was shown in between. */
  shows(words: string | RegExp): Promise<string>
  /** Presses keys; text is typed as it is. */
  press(...keys: string[]): void
  /** Waits for the end. @returns the exit code. */
  ends(): Promise<number | null>
  /** Everything that the terminal was sent so far, control sequences included. */
  raw(): string
  /** The same as a person reads it, without control sequences. */
  text(): string
}

/**
 * maoctl in a real terminal, as wide as a person's: a pseudo-terminal that util-linux's `script` makes, with keys typed
 * into it and everything that it shows read from it. It is gone when the test is over.
 */
export function typedSession(
  test: { after(action: () => unknown): void },
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): TypedSession {
  const quoted = [process.execPath, MAIN, ...words].map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
  const command = `stty cols 140 rows 50; exec ${quoted.join(' ')}`
  const child = spawn('script', ['-q', '-e', '-c', command, '/dev/null'], {
    env: { PATH: process.env.PATH ?? '', TERM: 'xterm', SHELL: '/bin/sh', ...environment },
  })
  const ended = once(child, 'close')
  let shown = ''
  let read = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text
  })
  test.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  })
  const text = () => stripVTControlCharacters(shown).replaceAll('\r', '')
  const at = (wanted: string | RegExp) => {
    const rest = text().slice(read)
    const found = typeof wanted === 'string' ? rest.indexOf(wanted) : rest.search(wanted)
    if (found < 0) return undefined
    const length = typeof wanted === 'string' ? wanted.length : (rest.match(wanted)?.[0].length ?? 0)
    return found + length
  }
  return {
    async shows(wanted) {
      const appeared = eventually(() => at(wanted) !== undefined, '', APPEARS_TIMEOUT_MS)
      await appeared.catch(() => {
        throw new Error(`the terminal never showed ${wanted}; it shows: ${text().slice(read)}`)
      })
      const end = read + (at(wanted) ?? 0)
      const between = text().slice(read, end)
      read = end
      return between
    },
    press: (...keys) => child.stdin.write(keys.join('')),
    ends: async () => {
      await ended
      return child.exitCode
    },
    raw: () => shown,
    text,
  }
}
