import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { statusSchema } from '../../src/api/views.ts'
import { messageOf } from '../../src/base/errors.ts'
import { delay } from '../../src/base/wait.ts'
import { ApiClient, findNode } from '../../src/cli/client.ts'

export const MAOCTL = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts')

const startTimeoutMs = 30_000
/** A node puts its runs away and closes its store before it ends. */
const stopTimeoutMs = 20_000
const pollMs = 50

export interface NodeProcessParts {
  name: string
  /** Holds the node's data and, beside them, its log. */
  directory: string
  /** Settings of this node alone, as `MAO_*` variables. */
  settings?: Readonly<Record<string, string>>
}

/** One node as a person would run it: a process of its own, known only by its data directory. */
export class NodeProcess {
  readonly name: string
  readonly data: string
  readonly log: string
  readonly #settings: Readonly<Record<string, string>>
  #child: ChildProcess | undefined
  #client: ApiClient | undefined
  #peerId: string | undefined

  constructor(parts: NodeProcessParts) {
    this.name = parts.name
    this.data = join(parts.directory, parts.name)
    this.log = join(parts.directory, `${parts.name}.log`)
    this.#settings = parts.settings ?? {}
  }

  /** The node's API; there once it has started. */
  get api(): ApiClient {
    if (this.#client === undefined) throw new Error(`${this.name} does not run`)
    return this.#client
  }

  /** Known once it has started, and remembered when it has stopped. */
  get peerId(): string | undefined {
    return this.#peerId
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Starts the process and waits until its API answers. */
  async start(signal?: AbortSignal): Promise<void> {
    await mkdir(this.data, { recursive: true, mode: 0o700 })
    const log = await open(this.log, 'a', 0o600)
    try {
      // A group of its own, so that Ctrl-C reaches the demo alone, which then stops its nodes in order.
      this.#child = spawn(process.execPath, [MAOCTL, 'instance', 'start', '--data', this.data], {
        env: this.#environment(),
        stdio: ['ignore', log.fd, log.fd],
        detached: true,
      })
    } finally {
      await log.close()
    }
    const deadline = AbortSignal.timeout(startTimeoutMs)
    const waiting = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
    let last: unknown = 'its API does not answer'
    while (this.#client === undefined) {
      if (this.#hasEnded()) throw new Error(`${this.name} ended at its start: ${await this.#lastWords()}`)
      if (deadline.aborted) throw new Error(`${this.name} did not start: ${messageOf(last)}`)
      signal?.throwIfAborted()
      try {
        const address = await findNode({ data: this.data })
        const answer = await fetch(`${address.url}/healthz`, { signal: waiting })
        if (answer.ok) this.#client = new ApiClient(address)
      } catch (error) {
        last = error
      }
      await delay(pollMs)
    }
    const { node } = await this.#client.get('/federation', statusSchema)
    this.#peerId = node.peer
  }

  /** Ends the process: by asking, and where it does not listen, by force. */
  async stop(): Promise<void> {
    const child = this.#child
    if (child === undefined || this.#hasEnded()) return
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill('SIGTERM')
    const force = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
    await ended
    clearTimeout(force)
    this.#client = undefined
  }

  /** Lets the process live on when the demo ends. */
  release(): void {
    this.#child?.unref()
  }

  /** The caller's own node may have settings in the environment; they are not meant for this one. */
  #environment(): NodeJS.ProcessEnv {
    const kept = Object.entries(process.env).filter(([variable]) => !variable.startsWith('MAO_'))
    return {
      ...Object.fromEntries(kept),
      MAO_NAME: this.name,
      MAO_API_PORT: '0',
      MAO_LISTEN: '/ip4/127.0.0.1/tcp/0',
      ...this.#settings,
    }
  }

  #hasEnded(): boolean {
    return this.#child !== undefined && (this.#child.exitCode !== null || this.#child.signalCode !== null)
  }

  async #lastWords(): Promise<string> {
    const text = await readFile(this.log, 'utf8')
    return text.trimEnd().split('\n').slice(-5).join('\n')
  }
}
