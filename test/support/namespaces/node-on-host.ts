import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { digestSchema } from '../../../src/api/registry-views.ts'
import { federationSchema, invitationSchema, memberSchema, statusSchema } from '../../../src/api/views.ts'
import { withDeadline } from '../../../src/base/wait.ts'
import type { Host } from './host.ts'

const MAIN = join(import.meta.dirname, '../../../src/cli/main.ts')
const DOOR = join(import.meta.dirname, 'door.ts')
/** The same everywhere, since every host has all ports for itself. */
const [API_PORT, PEER_PORT] = [8080, 4001]
const START_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 30_000
const COMMAND_TIMEOUT_MS = 60_000
const ANSWER_TIMEOUT_MS = 30_000
/** Of what a node says, the end that a failed test shows. */
const SAID_CHARACTERS_MAX = 20_000

const readySchema = z.object({ peerId: z.string(), addresses: z.array(z.string()) })

export interface NodeOptions {
  /** Words after `instance start`, such as `--bootstrap`. */
  readonly words?: readonly string[]
  /** Settings, as `MAO_*` variables. */
  readonly settings?: Readonly<Record<string, string>>
}

interface Schema<T> {
  parse(value: unknown): T
}

/** A whole node as a person runs it: `maoctl instance start` as a process of its own, on a host of its own. */
export class NodeOnHost {
  readonly name: string
  readonly host: Host
  readonly data: string
  readonly #options: NodeOptions
  #child: ChildProcess | undefined
  #ended: Promise<unknown> = Promise.resolve()
  #said = ''
  #peerId = ''
  #startedMs = 0

  /** @param directory where its data and the socket of its door are made. */
  constructor(name: string, host: Host, directory: string, options: NodeOptions) {
    this.name = name
    this.host = host
    this.data = join(directory, name)
    this.#options = options
  }

  /** Known once it has started. */
  get peerId(): string {
    return this.#peerId
  }

  /** When its process was last begun, as `performance.now()` counts. */
  get startedMs(): number {
    return this.#startedMs
  }

  /** The end of what it wrote to standard error, over all its lives. */
  said(): string {
    return this.#said.slice(-SAID_CHARACTERS_MAX)
  }

  /** Begins the process and waits until the node says that it is ready. */
  async start(): Promise<void> {
    const { words = [], settings = {} } = this.#options
    const listen = ['--listen', `/ip4/0.0.0.0/tcp/${PEER_PORT}`, '--port', String(API_PORT)]
    const node = [
      process.execPath,
      '--import',
      DOOR,
      MAIN,
      '--json',
      '--data',
      this.data,
      'instance',
      'start',
    ]
    const [program = '', ...rest] = node
    this.#startedMs = performance.now()
    const child = spawn(
      'ip',
      this.host.namespace.words(program, ...rest, '--name', this.name, ...listen, ...words),
      {
        env: { ...this.#environment(), ...settings },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    this.#child = child
    const ended = once(child, 'close')
    this.#ended = ended
    child.stderr.on('data', (bytes) => {
      this.#said = (this.#said + String(bytes)).slice(-2 * SAID_CHARACTERS_MAX)
    })
    const line = once(child.stdout, 'data').then(([bytes]) => readySchema.parse(JSON.parse(String(bytes))))
    const failed = ended.then(() =>
      Promise.reject(new Error(`${this.name} ended before it was ready: ${this.said()}`)),
    )
    failed.catch(() => undefined)
    const ready = Promise.race([line, failed])
    this.#peerId = (await withDeadline(ready, START_TIMEOUT_MS, `The start of ${this.name}`)).peerId
  }

  /** Sends the signal and waits for the end; nothing where it does not run. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#child?.kill(signal)
    await withDeadline(this.#ended, STOP_TIMEOUT_MS, `The end of ${this.name}`)
    this.#child = undefined
  }

  get<T>(path: string, schema: Schema<T>): Promise<T> {
    return this.#ask('GET', path, schema)
  }

  post<T>(path: string, schema: Schema<T>, value: unknown): Promise<T> {
    return this.#ask('POST', path, schema, value)
  }

  put<T>(path: string, schema: Schema<T>, value: unknown): Promise<T> {
    return this.#ask('PUT', path, schema, value)
  }

  /** `maoctl --json …` on the same host; for what only the command line can do. @returns its standard output. */
  async maoctl(...words: string[]): Promise<string> {
    const all = this.host.namespace.words(process.execPath, MAIN, '--json', '--data', this.data, ...words)
    const child = spawn('ip', all, {
      env: this.#environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: COMMAND_TIMEOUT_MS,
    })
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    if (child.exitCode === 0) return stdout
    throw new Error(`${this.name}: maoctl ${words.join(' ')} ended with ${child.exitCode}: ${stderr}`)
  }

  async found(name: string): Promise<void> {
    await this.post('/federation', federationSchema, { name })
  }

  /** Invites each of the nodes, which join all at once. */
  async admit(...nodes: NodeOnHost[]): Promise<void> {
    const join = async (node: NodeOnHost) => {
      const { token } = await this.post('/federation/invitations', invitationSchema, {})
      await node.post('/federation/join', federationSchema, { token })
    }
    await Promise.all(nodes.map(join))
  }

  async addresses(): Promise<string[]> {
    return (await this.get('/federation', statusSchema)).node.addresses
  }

  /** Peers of all kinds that it is connected to, members or not. */
  async connectedPeers(): Promise<number> {
    return (await this.get('/federation', statusSchema)).node.connectedPeers
  }

  /** The members that it is connected to, by their names. */
  async connectedMembers(): Promise<string[]> {
    const members = await this.get('/federation/members', z.array(memberSchema))
    return members.filter(({ connected, self }) => connected && !self).map(({ name }) => name)
  }

  async digest(): Promise<string> {
    return (await this.get('/registry/digest', digestSchema)).digest
  }

  /** The bytes at a path below /api/v1. @throws Error with the problem that it tells, or where nobody answers. */
  async bytes(method: string, path: string, value?: unknown): Promise<Buffer> {
    const token = (await readFile(join(this.data, 'api-token'), 'utf8')).trim()
    const body = value === undefined ? undefined : JSON.stringify(value)
    const headers: Record<string, string> = {
      host: `127.0.0.1:${API_PORT}`,
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    }
    const url = {
      socketPath: this.#door,
      path: `/api/v1${path}`,
      method,
      headers,
      timeout: ANSWER_TIMEOUT_MS,
    }
    const asking = request(url)
    asking.once('timeout', () => asking.destroy(new Error(`${this.name} did not answer ${method} ${path}`)))
    asking.end(body)
    const [answer] = await once(asking, 'response')
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk)
    const told = Buffer.concat(chunks)
    if (answer.statusCode < 300) return told
    throw new Error(`${this.name}: ${method} ${path} gave ${answer.statusCode}: ${told}`)
  }

  async #ask<T>(method: string, path: string, schema: Schema<T>, value?: unknown): Promise<T> {
    return schema.parse(JSON.parse((await this.bytes(method, path, value)).toString()))
  }

  get #door(): string {
    return `${this.data}.sock`
  }

  /** That of a process that knows nothing of whoever runs the tests, and of no Docker engine. */
  #environment(): Record<string, string> {
    const { NODE_COMPILE_CACHE } = process.env
    return {
      ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }),
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent',
      NO_COLOR: '1',
      MAO_ETCD_SERVE: 'never',
      MAO_DOCKER_SOCKET_PATH: '/nonexistent/docker.sock',
      NAMESPACE_DOOR: this.#door,
      NAMESPACE_DOOR_PORT: String(API_PORT),
    }
  }
}
