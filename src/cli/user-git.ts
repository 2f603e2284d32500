import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Session } from './session.ts'

/** What would make git look at another repository than the one that is named. */
const ELSEWHERE = new Set([
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_INDEX_FILE',
  'GIT_OBJECT_DIRECTORY',
  'GIT_ALTERNATE_OBJECT_DIRECTORIES',
  'GIT_COMMON_DIR',
  'GIT_NAMESPACE',
  'GIT_PREFIX',
])

export interface GitOptions {
  /** What git says of a no is not worth showing. */
  readonly isSilent?: boolean
  /** Variables besides the person's own. */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * The git of whoever sits at the command line: their settings, their keys, their keyring, and git may ask them. What it
 * says goes to standard error.
 */
function start(
  session: Session,
  words: readonly string[],
  { isSilent, env: more }: GitOptions,
): ChildProcess {
  const { environment } = session.terminal
  const own = Object.fromEntries(Object.entries(environment).filter(([name]) => !ELSEWHERE.has(name)))
  const env = { ...own, ...more }
  const child = spawn('git', [...words], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  child.stderr.setEncoding('utf8').on('data', (text: string) => isSilent || session.out.rawNote(text))
  return child
}

/**
 * What git writes, as it writes it; the end comes only when git has ended well.
 *
 * @throws NodeError UNSUPPORTED when there is no git, GIT_FAILED.
 */
export async function* streamGit(
  session: Session,
  words: readonly string[],
  options: GitOptions = {},
): AsyncGenerator<Uint8Array> {
  const child = start(session, words, options)
  const ended = once(child, 'close')
  ended.catch(() => undefined)
  try {
    if (child.stdout !== null) yield* child.stdout as AsyncIterable<Buffer>
    const [code] = await ended.catch((cause: unknown) => {
      const message = `git does not start (${messageOf(cause)}); install git to import repositories`
      throw new NodeError('UNSUPPORTED', message, {}, { cause })
    })
    if (code !== 0) throw failed(words, code)
  } finally {
    child.kill()
  }
}

/** Runs git to its end. @returns what it wrote, and what it ended with. @throws NodeError UNSUPPORTED. */
export async function askGit(
  session: Session,
  words: readonly string[],
  options: GitOptions = {},
): Promise<{ readonly code: number | null; readonly text: string }> {
  const child = start(session, words, options)
  try {
    const [written, [code]] = await Promise.all([
      child.stdout === null ? Buffer.alloc(0) : buffer(child.stdout),
      once(child, 'close'),
    ])
    return { code, text: written.toString('utf8') }
  } catch (cause) {
    const message = `git does not start (${messageOf(cause)}); install git to import repositories`
    throw new NodeError('UNSUPPORTED', message, {}, { cause })
  } finally {
    child.kill()
  }
}

/** Like askGit, for what has to end well. @throws NodeError GIT_FAILED as well. */
export async function runUserGit(
  session: Session,
  words: readonly string[],
  options: GitOptions = {},
): Promise<string> {
  const { code, text } = await askGit(session, words, options)
  if (code !== 0) throw failed(words, code)
  return text
}

function failed(words: readonly string[], code: number | null): NodeError {
  const command = words.find((word, at) => !word.startsWith('-') && words[at - 1] !== '-C') ?? ''
  const message = `git ${command} ended with ${code ?? 'a signal'}; what it said stands above`
  return new NodeError('GIT_FAILED', message, { command, exitCode: code })
}
