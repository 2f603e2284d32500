import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Running, runProgram, spawnProgram } from './child-process.ts'
import type { Ending } from './etcd-cluster.ts'
import { eventually } from './eventually.ts'
import { freePorts } from './free-port.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const START_TIMEOUT_MS = 30_000
/** No story may wait longer than this for its server to go. */
const LIFETIME_MS = 280_000

export interface StrongEtcdOptions {
  readonly members: number
  /** Certificate and key for the clients' side. */
  readonly tls?: { readonly certificate: string; readonly key: string }
}

interface Member {
  readonly name: string
  readonly clientPort: number
  readonly peerPort: number
  running: Running | undefined
}

/** A real etcd whose members can be killed and started again where they were. */
export class StrongEtcd {
  readonly #ending: Ending
  readonly #directory: string
  readonly #options: StrongEtcdOptions
  readonly #members: readonly Member[]

  private constructor(
    ending: Ending,
    directory: string,
    options: StrongEtcdOptions,
    ports: readonly number[],
  ) {
    this.#ending = ending
    this.#directory = directory
    this.#options = options
    this.#members = Array.from({ length: options.members }, (_, index) => ({
      name: `m${index}`,
      clientPort: ports[2 * index] as number,
      peerPort: ports[2 * index + 1] as number,
      running: undefined,
    }))
  }

  static async start(ending: Ending, options: StrongEtcdOptions): Promise<StrongEtcd> {
    const directory = await temporaryDirectory(ending)
    const etcd = new StrongEtcd(ending, directory, options, await freePorts(2 * options.members))
    await etcd.startAll()
    return etcd
  }

  get scheme(): 'http' | 'https' {
    return this.#options.tls === undefined ? 'http' : 'https'
  }

  get endpoints(): readonly string[] {
    return this.#members.map(({ clientPort }) => `${this.scheme}://127.0.0.1:${clientPort}`)
  }

  port(index: number): number {
    return this.#member(index).clientPort
  }

  /** As `kill -9` leaves it. */
  async kill(index: number): Promise<void> {
    const { running } = this.#member(index)
    running?.child.kill('SIGKILL')
    await running?.ended.catch(() => undefined)
    this.#member(index).running = undefined
  }

  /** Silent from now on, with its connections open, as a machine that has run out of memory is. */
  hang(index: number): void {
    this.#member(index).running?.child.kill('SIGSTOP')
  }

  resume(index: number): void {
    this.#member(index).running?.child.kill('SIGCONT')
  }

  /** Starts a member that was killed without anything that it had. */
  async restartEmpty(index: number): Promise<void> {
    await rm(join(this.#directory, this.#member(index).name), { recursive: true })
    await this.restart(index)
  }

  async killAll(): Promise<void> {
    await Promise.all(this.#members.map((_, index) => this.kill(index)))
  }

  async startAll(): Promise<void> {
    for (const index of this.#members.keys()) this.launch(index)
    for (const index of this.#members.keys()) await this.#healthy(index)
  }

  /** Starts a member that was killed, where it was, and waits until it serves. */
  async restart(index: number): Promise<void> {
    this.launch(index)
    await this.#healthy(index)
  }

  /** The same without waiting. */
  launch(index: number): void {
    const member = this.#member(index)
    const { name, clientPort, peerPort } = member
    const client = `${this.scheme}://127.0.0.1:${clientPort}`
    const cluster = this.#members.map((other) => `${other.name}=http://127.0.0.1:${other.peerPort}`).join(',')
    const { tls } = this.#options
    const args = [
      ...[
        '--name',
        name,
        '--data-dir',
        join(this.#directory, name),
        '--logger',
        'zap',
        '--log-level',
        'error',
      ],
      ...['--log-outputs', 'stderr', '--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', `http://127.0.0.1:${peerPort}`],
      ...['--initial-advertise-peer-urls', `http://127.0.0.1:${peerPort}`],
      ...['--initial-cluster', cluster, '--initial-cluster-token', cluster],
      ...(tls === undefined ? [] : ['--cert-file', tls.certificate, '--key-file', tls.key]),
    ]
    const running = spawnProgram(this.#ending, 'etcd', args, { deadlineMs: LIFETIME_MS })
    member.running = running
    this.#ending.after(async () => {
      running.child.kill('SIGKILL')
      await running.ended.catch(() => undefined)
    })
  }

  /** As `restart`, for a cluster that tells nothing to strangers: it answers as soon as it refuses them. */
  async launchAndAnswer(index: number): Promise<void> {
    this.launch(index)
    const { clientPort } = this.#member(index)
    const answers = async () => {
      const answer = await fetch(`http://127.0.0.1:${clientPort}/health`).catch(() => undefined)
      return answer?.ok === true
    }
    await eventually(answers, 'etcd does not answer', START_TIMEOUT_MS)
  }

  /** @returns what etcdctl printed. */
  async ctl(...args: string[]): Promise<string> {
    const endpoints = this.endpoints.join(',')
    const env = { ETCDCTL_API: '3' }
    const { code, stdout, stderr } = await runProgram(
      this.#ending,
      'etcdctl',
      [`--endpoints=${endpoints}`, ...args],
      {
        env,
      },
    )
    if (code !== 0) throw new Error(`etcdctl ${args.join(' ')}: ${stderr}`)
    return stdout
  }

  #member(index: number): Member {
    return this.#members[index] as Member
  }

  async #healthy(index: number): Promise<void> {
    const { name, clientPort, running } = this.#member(index)
    const tls =
      this.#options.tls === undefined ? [] : ['--insecure-skip-tls-verify', '--insecure-transport=false']
    const args = [`--endpoints=${this.scheme}://127.0.0.1:${clientPort}`, ...tls, 'endpoint', 'health']
    const healthy = async () => {
      if (running?.child.exitCode !== null)
        throw new Error(`etcd ${name} ended: ${(await running?.ended)?.stderr}`)
      const env = { ETCDCTL_API: '3' }
      return (await runProgram(this.#ending, 'etcdctl', args, { env })).code === 0
    }
    await eventually(healthy, `etcd ${name} does not answer`, START_TIMEOUT_MS)
  }
}
