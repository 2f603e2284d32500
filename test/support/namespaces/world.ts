import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Host } from './host.ts'
import { Namespace } from './namespace.ts'
import { buildNat, type Nat } from './nat.ts'
import { NodeOnHost, type NodeOptions } from './node-on-host.ts'
import { Segment } from './segment.ts'

/** Looks public, and leads nowhere: private ranges are left out of what nodes tell each other. */
const PUBLIC_PREFIX = '11.11.11'

/** A test, or a bench, which has no more than the end of a test. */
type TestOrBench = Pick<TestContext, 'after'> & { passed?: boolean; diagnostic?: TestContext['diagnostic'] }

/** Segments, routers, hosts and nodes of one test, which all end with it: first the nodes, then what they ran on. */
export class World {
  readonly #directory: string
  readonly #namespaces: Namespace[] = []
  readonly #nodes: NodeOnHost[] = []

  private constructor(directory: string) {
    this.#directory = directory
  }

  static async open(t: TestOrBench): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'mao-n-')))
    t.after(async () => {
      if (t.passed === false) for (const node of world.#nodes) t.diagnostic?.(`${node.name}: ${node.said()}`)
      await world.#end()
    })
    return world
  }

  /** A segment without a way out. @param prefix the first three numbers of its addresses. */
  async lan(prefix: string): Promise<Segment> {
    return Segment.build(await this.#namespace(), prefix)
  }

  /** A segment whose addresses look as if the whole world could reach them. */
  internet(): Promise<Segment> {
    return this.lan(PUBLIC_PREFIX)
  }

  /** A router between `outside` and a segment of its own. */
  async nat(outside: Segment, insidePrefix: string): Promise<Nat> {
    return buildNat(await this.#namespace(), outside, insidePrefix)
  }

  async host(segment: Segment): Promise<Host> {
    return Host.plugIn(await this.#namespace(), segment, false)
  }

  /** A host inside, whose way out is the router. */
  async hostBehind({ inside }: Nat): Promise<Host> {
    return Host.plugIn(await this.#namespace(), inside, true)
  }

  /** A node that has not started yet. */
  node(name: string, host: Host, options: NodeOptions = {}): NodeOnHost {
    const node = new NodeOnHost(name, host, this.#directory, options)
    this.#nodes.push(node)
    return node
  }

  async #namespace(): Promise<Namespace> {
    const namespace = await Namespace.add()
    this.#namespaces.push(namespace)
    return namespace
  }

  async #end(): Promise<void> {
    // Each is tried, whatever becomes of the others; what is left then is swept by the next test.
    const stopped = await Promise.allSettled(this.#nodes.map((node) => node.stop('SIGKILL')))
    const removed = await Promise.allSettled(this.#namespaces.map((namespace) => namespace.remove()))
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 3 })
    const failed = [...stopped, ...removed].filter((result) => result.status === 'rejected')
    if (failed.length > 0) {
      throw new AggregateError(
        failed.map(({ reason }) => reason),
        'Not all of the test networks could be ended',
      )
    }
  }
}
