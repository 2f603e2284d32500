import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const CLIENT = join(import.meta.dirname, 'mao/client.py')
const TIMEOUT_MS = 90_000

/** Files as the predecessor's people have them. */
export const MAO_TOOL_FILE = join(import.meta.dirname, 'mao/tool.json')
export const MAO_PIPELINES_FILE = join(import.meta.dirname, 'mao/pipelines.json')

export type Habit = 'json' | 'twice' | 'text'
export type Question = readonly [method: string, path: string, body?: unknown, habit?: Habit]

export interface Told {
  readonly status: number
  readonly type: string
  /** The body as it came. */
  readonly text: string
  /** What the client's habit made of it. */
  readonly value: unknown
}

/** Asks a node in the predecessor's way, one question after another, from a Python of its own. */
export async function askAsEver<const Q extends readonly Question[]>(
  url: string,
  token: string | undefined,
  questions: Q,
): Promise<{ [K in keyof Q]: Told }> {
  const child = spawn('python3', [CLIENT, url], {
    env: { PATH: process.env.PATH, ...(token === undefined ? {} : { MAO_TEST_TOKEN: token }) },
    timeout: TIMEOUT_MS,
  })
  child.stdin.end(
    JSON.stringify(
      questions.map(([method, path, body = null, habit = 'json']) => [method, path, body, habit]),
    ),
  )
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (child.exitCode !== 0) throw new Error(`the client ended with ${child.exitCode}: ${stderr}`)
  return JSON.parse(stdout) as { [K in keyof Q]: Told }
}
