/**
 * The `git` program as child processes. Arguments never pass a shell; the environment holds what we put there and
 * nothing of the user's; no configuration but ours and the repository's own (which only this node writes) is read, and
 * no hook runs.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { devNull } from 'node:os'
import type { Duplex, Readable, Writable } from 'node:stream'
import { saysDiskFull } from '../../base/disk-space.ts'
import { NodeError } from '../../base/errors.ts'
import {
  gitAllocationMax,
  gitOutputBytesMax,
  gitProcessesMax,
  gitProcessesWaitingMax,
  gitTimeoutMs,
  reasonCharactersMax,
} from '../../base/limits.ts'
import { Semaphore } from '../../base/semaphore.ts'
import { printable } from '../../base/strangers-words.ts'

/** Older ones lack `fetch --no-write-fetch-head` and the fsck rules that quarantine relies on. */
const OLDEST: readonly [number, number] = [2, 30]

const SETTINGS = [
  `core.hooksPath=${devNull}`,
  `core.attributesFile=${devNull}`,
  'core.fsmonitor=false',
  'core.protectHFS=true',
  'core.protectNTFS=true',
  'core.logAllRefUpdates=false',
  // Nobody here writes these two; what they claim would be believed unseen.
  'core.commitGraph=false',
  'core.multiPackIndex=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'protocol.allow=never',
  'protocol.version=2',
  // Larger files are stored as they are, straight into a pack: to look for likenesses among them git would hold ten at
  // once in memory and take seconds for each; below it, what the search may hold is bounded.
  'core.bigFileThreshold=16m',
  'pack.windowMemory=256m',
  // The repositories are this node's own, whatever user id a container or a volume gives them.
  'safe.directory=*',
]

/**
 * What is announced to other members must survive a power cut here (dataset-heads.md H11). Before 2.36 git knew another
 * setting, for loose objects, and always made packs durable; the newer versions complain when they are given that one.
 */
export function durability([major, minor]: readonly [number, number]): string {
  const older = major < 2 || (major === 2 && minor < 36)
  return older ? 'core.fsyncObjectFiles=true' : 'core.fsync=loose-object,pack,pack-metadata,reference'
}

export interface GitOptions {
  readonly input?: string | Uint8Array
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
  readonly env?: Readonly<Record<string, string>>
  /** Hears all that the process says on its error output; of that, only the end is kept otherwise. */
  readonly onStderr?: (text: string) => void
}

export interface GitChild {
  readonly process: ChildProcess
  readonly stdin: Writable
  readonly stdout: Readable
  /** The socket at file descriptor 3, where one was asked for. */
  readonly socket: Duplex | undefined
  /** Resolves once the process has ended and all its output was read. */
  readonly ended: Promise<{ readonly code: number | null; readonly stderr: string }>
  kill(): void
}

/** What one process ended with when it was not 0, for callers that read meaning in it: GIT_FAILED, or DISK_FULL. */
export class GitExit extends NodeError {
  readonly exitCode: number | null
  readonly stderr: string

  constructor(command: string, exitCode: number | null, stderr: string) {
    const last = stderr.trim().split('\n').slice(-3).join('; ')
    const outcome = exitCode === null ? 'was ended' : `failed with exit code ${exitCode}`
    const told = `git ${command} ${outcome}${last === '' ? '' : `: ${last}`}`
    const full = ranOutOfRoom(stderr)
    const way = 'free some room, for example with "maoctl dataset remove-local", and try again'
    super(full ? 'DISK_FULL' : 'GIT_FAILED', full ? `The disk is full; ${way} (${told})` : told, {
      command,
      exitCode,
    })
    this.exitCode = exitCode
    this.stderr = stderr
  }
}

export class GitProgram {
  readonly #processes = new Semaphore(gitProcessesMax, gitProcessesWaitingMax)
  readonly #running = new Set<GitChild>()
  #settings: readonly string[] = SETTINGS
  #version: readonly [number, number] = OLDEST

  /** The program on PATH, or undefined when there is none or it is too old. */
  static async find(): Promise<GitProgram | undefined> {
    const git = new GitProgram()
    try {
      const [, major, minor] = /(\d+)\.(\d+)/.exec((await git.run(['version'])).toString()) ?? []
      const version = [Number(major), Number(minor)] as const
      const fits = version[0] > OLDEST[0] || (version[0] === OLDEST[0] && version[1] >= OLDEST[1])
      git.#settings = [...SETTINGS, durability(version)]
      git.#version = version
      return fits ? git : undefined
    } catch (error) {
      if (error instanceof NodeError && error.code === 'UNSUPPORTED') return undefined
      throw error
    }
  }

  /** Whether the program is of this version or newer. */
  isAtLeast([major, minor]: readonly [number, number]): boolean {
    const [ours, oursMinor] = this.#version
    return ours > major || (ours === major && oursMinor >= minor)
  }

  /** Runs to the end and returns what it wrote. @throws GitExit, NodeError TIMED_OUT, TOO_LARGE. */
  run(args: readonly string[], options: GitOptions = {}): Promise<Buffer> {
    return this.read(args, options, async (stdout) => {
      const chunks: Buffer[] = []
      let bytes = 0
      for await (const chunk of stdout) {
        bytes += chunk.length
        if (bytes > gitOutputBytesMax) {
          throw new NodeError(
            'TOO_LARGE',
            `git ${commandOf(args)} wrote more than ${gitOutputBytesMax} bytes`,
          )
        }
        chunks.push(chunk)
      }
      return Buffer.concat(chunks)
    })
  }

  /** Runs while `consume` reads what it writes; the output is as trustworthy as the exit code that follows it. */
  read<T>(
    args: readonly string[],
    options: GitOptions,
    consume: (stdout: AsyncIterable<Buffer>) => Promise<T>,
  ): Promise<T> {
    return this.#processes.run(async () => {
      options.signal?.throwIfAborted()
      const child = this.spawn(args, options)
      const timeoutMs = options.timeoutMs ?? gitTimeoutMs
      let late = false
      const timer = setTimeout(() => {
        late = true
        child.kill()
      }, timeoutMs)
      try {
        child.stdin.end(options.input ?? '')
        const result = await consume(child.stdout)
        const { code, stderr } = await child.ended
        if (code !== 0) throw new GitExit(commandOf(args), code, stderr)
        return result
      } catch (cause) {
        child.kill()
        options.signal?.throwIfAborted()
        if (!late) throw cause
        throw new NodeError(
          'TIMED_OUT',
          `git ${commandOf(args)} took longer than ${timeoutMs} ms`,
          {},
          { cause },
        )
      } finally {
        clearTimeout(timer)
      }
    })
  }

  /** Starts a process outside the bound on short ones: transfers have a bound of their own. */
  spawn(args: readonly string[], options: GitOptions & { readonly socket?: boolean } = {}): GitChild {
    const settings = this.#settings.flatMap((setting) => ['-c', setting])
    const process = spawn('git', [...settings, ...args], {
      stdio: ['pipe', 'pipe', 'pipe', ...(options.socket === true ? (['pipe'] as const) : [])],
      env: { ...surroundings(), ...options.env },
      // A group of its own, so that ending a transfer also ends the processes that git has started for it.
      detached: true,
      windowsHide: true,
    })
    const [stdin, stdout, stderr] = [process.stdin, process.stdout, process.stderr] as [
      Writable,
      Readable,
      Readable,
    ]
    const socket = process.stdio[3] as Duplex | undefined
    // git ends one direction before the other; without this Node would end both at once.
    if (socket !== undefined) socket.allowHalfOpen = true
    // A process that ends early breaks its pipes; why it ended is told by its exit.
    for (const pipe of [stdin, socket]) pipe?.on('error', () => undefined)

    let said = ''
    stderr.setEncoding('utf8')
    stderr.on('data', (text: string) => {
      const words = printable(text, '\n', ' ')
      said = (said + words).slice(-8 * reasonCharactersMax)
      options.onStderr?.(words)
    })
    const kill = () => {
      killGroup(process)
      // Unread output would keep the end of the process from being told.
      for (const pipe of [stdin, stdout, stderr, socket]) pipe?.destroy()
    }
    options.signal?.addEventListener('abort', kill, { once: true })
    const ended = new Promise<{ code: number | null; stderr: string }>((resolve, reject) => {
      process.once('error', (cause) => reject(notStarted(cause)))
      process.once('close', (code) => resolve({ code, stderr: said }))
    })
    // Nobody reads from the socket any more; left open at our end, it would keep the end from being told.
    process.once('exit', () => socket?.end())
    const child: GitChild = { process, stdin, stdout, socket, ended, kill }
    this.#running.add(child)
    const forget = () => {
      this.#running.delete(child)
      options.signal?.removeEventListener('abort', kill)
    }
    ended.then(forget, forget)
    return child
  }

  /** Ends every process that still runs. */
  async stop(): Promise<void> {
    const running = [...this.#running]
    for (const child of running) child.kill()
    await Promise.allSettled(running.map((child) => child.ended))
  }
}

/** Whether git's words on its error output say that our disk is full. What it passes on from elsewhere does not count. */
export function ranOutOfRoom(stderr: string): boolean {
  return stderr.split('\n').some((line) => !/\bremote\b/.test(line) && saysDiskFull(line))
}

function surroundings(): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: devNull,
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_NO_LAZY_FETCH: '1',
    // A delta of a few bytes may ask for any amount of memory.
    GIT_ALLOC_LIMIT: String(gitAllocationMax),
    // No process of git calls out; who has to, for one address that somebody named, allows its one way there.
    GIT_ALLOW_PROTOCOL: 'none',
  }
}

function commandOf(args: readonly string[]): string {
  return args.find((arg) => !arg.startsWith('-')) ?? 'git'
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // No such group: it ended in this moment, or the system knows no groups.
    child.kill('SIGKILL')
  }
}

function notStarted(cause: Error): NodeError {
  const message = `The program git does not start (${cause.message}); install git ${OLDEST.join('.')} or newer`
  return new NodeError('UNSUPPORTED', message, {}, { cause })
}
