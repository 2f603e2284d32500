import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { withDeadline } from '../../src/base/wait.ts'
import { runCommandLine } from '../../src/cli/program.ts'

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')
const COMMAND_TIMEOUT_MS = 60_000
const READY_TIMEOUT_MS = 30_000

export interface Ended {
  exit: number | null
  stdout: string
  stderr: string
  /** Standard output as JSON. */
  json<T>(): T
}

/** The environment of a command that knows nothing of whoever runs the tests, but where compiled modules lie. */
function environment(more: Record<string, string> = {}): Record<string, string> {
  const { NODE_COMPILE_CACHE } = process.env
  return {
    ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }),
    PATH: process.env.PATH ?? '',
    HOME: '/nonexistent',
    NO_COLOR: '1',
    MAO_ETCD_SERVE: 'never',
    ...more,
  }
}

export interface CommandOptions {
  environment?: Record<string, string>
  /** Further arguments of node itself. */
  nodeArguments?: string[]
  input?: string
  /** Hears what the command says on standard error, as it says it. */
  onStderr?: (text: string) => void
}

/** Runs maoctl as a process of its own to its end. */
export async function maoctl(words: readonly string[], options: CommandOptions = {}): Promise<Ended> {
  const child = spawn(process.execPath, [...(options.nodeArguments ?? []), MAIN, ...words], {
    env: environment(options.environment),
    timeout: COMMAND_TIMEOUT_MS,
  })
  child.stdin.end(options.input ?? '')
  child.stderr.on('data', (bytes) => options.onStderr?.(String(bytes)))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { exit: child.exitCode, stdout, stderr, json: () => JSON.parse(stdout) }
}

/** Runs maoctl in this very process: the same but quicker, where a process of its own would prove nothing more. */
export async function maoctlHere(
  words: readonly string[],
  options: { environment?: Record<string, string>; input?: string | Buffer } = {},
): Promise<Ended> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  stdin.end(options.input)
  const said = Promise.all([text(stdout), text(stderr)])
  const terminal = { stdin, stdout, stderr, environment: environment(options.environment) }
  const exit = await runCommandLine(words, terminal)
  stdout.end()
  stderr.end()
  const [out, error] = await said
  return { exit, stdout: out, stderr: error, json: () => JSON.parse(out) }
}

/** `maoctl --data DIRECTORY --json …`, whose result is parsed; fails when the command does. */
export async function tellJson<T>(data: string, ...words: string[]): Promise<T> {
  const ended = await maoctlHere(['--data', data, '--json', ...words])
  if (ended.exit !== 0) throw new Error(`maoctl ${words.join(' ')} ended with ${ended.exit}: ${ended.stderr}`)
  return ended.json<T>()
}

export interface Ready {
  url: string
  name: string
  peerId: string
  dataDirectory: string
  tokenFile: string
  pid: number
}

export interface Instance {
  ready: Ready
  process: ChildProcess
  /** What it wrote to standard error so far. */
  stderr(): string
  /** Sends the signal and waits for the end. @returns the exit code, or null after a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/** `maoctl instance start` as a process of its own, ready, and gone when the test is over. */
export async function startInstance(
  t: TestContext,
  data: string,
  words: readonly string[] = [],
  more: Record<string, string> = {},
): Promise<Instance> {
  const all = ['--json', '--data', data, 'instance', 'start', '--port', '0', '--no-mdns', ...words]
  const child = spawn(process.execPath, [MAIN, ...all], {
    env: environment(more),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close')
  let said = ''
  child.stderr.on('data', (bytes) => {
    said += String(bytes)
  })
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await withDeadline(ended, COMMAND_TIMEOUT_MS, 'The end of the instance')
    return child.exitCode
  }
  t.after(() => stop('SIGKILL'))
  const line = once(child.stdout, 'data').then(([bytes]) => JSON.parse(String(bytes)) as Ready)
  const failed = ended.then(() =>
    Promise.reject(new Error(`the instance ended before it was ready: ${said}`)),
  )
  const ready = await withDeadline(
    Promise.race([line, failed]),
    READY_TIMEOUT_MS,
    'The start of the instance',
  )
  failed.catch(() => undefined)
  return { ready, process: child, stderr: () => said, stop }
}
