import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { silentLogger } from '../../src/base/logger.ts'
import type { ConfigInput } from '../../src/config.ts'
import type { RemoteRun } from '../../src/execution/remote/remote-run.ts'
import { Node } from '../../src/node.ts'
import { eventually } from './eventually.ts'
import { testConfig } from './quiet-node.ts'

const MIB = 1024 ** 2

/** Members of one federation on this machine, whose nodes can be stopped and started again. */
export class RemoteMembers {
  readonly directory: string
  readonly #nodes = new Map<string, Node>()

  private constructor(directory: string) {
    this.directory = directory
  }

  /** The first founds the federation. */
  static async start(members: Readonly<Record<string, ConfigInput>>): Promise<RemoteMembers> {
    const all = new RemoteMembers(await mkdtemp(join(tmpdir(), 'mao-remote-')))
    const [founder = ''] = Object.keys(members)
    try {
      for (const [name, config] of Object.entries(members)) {
        const node = await all.up(name, config)
        if (name === founder) await node.createFederation({ name: 'lab' })
        else await node.join((await all.node(founder).invite()).token)
      }
    } catch (error) {
      await all.stop()
      throw error
    }
    return all
  }

  node(name: string): Node {
    const node = this.#nodes.get(name)
    if (node === undefined) throw new Error(`${name} is not up`)
    return node
  }

  async up(name: string, config: ConfigInput = {}): Promise<Node> {
    const settings = await testConfig(name, join(this.directory, name), {
      ...config,
      // Small boxes: what reaches a limit does so soon.
      execution: { memoryBytes: 64 * MIB, stepTimeoutMs: 30_000, ...config.execution },
    })
    const node = new Node({ config: settings, log: silentLogger })
    this.#nodes.set(name, node)
    await node.start()
    return node
  }

  async down(name: string): Promise<void> {
    await this.node(name).stop()
    this.#nodes.delete(name)
  }

  /** A directory with these files. */
  async files(name: string, files: Readonly<Record<string, string>>): Promise<string> {
    const directory = join(this.directory, 'files', name)
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(directory, path)), { recursive: true })
      await writeFile(join(directory, path), text)
    }
    return directory
  }

  /** Waits until a run has come as far as `holds` says. */
  async until(
    name: string,
    id: string,
    holds: (run: RemoteRun) => boolean,
    what: string,
  ): Promise<RemoteRun> {
    const get = () => this.node(name).federation.remote.runs.get(id)
    await eventually(() => holds(get()), `${what} did not come about`, 40_000).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(get())}`)
    })
    return get()
  }

  async stop(): Promise<void> {
    for (const name of [...this.#nodes.keys()].reverse()) await this.down(name)
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** All that a log of a remote run holds now. */
export async function logOf(node: Node, id: string): Promise<string> {
  const pieces: Uint8Array[] = []
  for await (const piece of node.federation.remote.runs.logs(id)) pieces.push(piece)
  return Buffer.concat(pieces).toString('utf8')
}
