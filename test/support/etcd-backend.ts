import { after, before, suite, type TestContext, test } from 'node:test'
import { Etcd3, type IOptions } from 'etcd3'
import { silentLogger } from '../../src/base/logger.ts'
import { EtcdSurface } from '../../src/etcd/surface.ts'
import { type Ended, runProgram, spawnProgram } from './child-process.ts'
import { type Ending, PROGRESS_NOTIFY_MS, startEtcd } from './etcd-cluster.ts'
import { RawEtcd } from './etcd-raw.ts'
import { startRegistryNode } from './registry-node.ts'

/** One server of the etcd API, or several that are one to their clients. */
export interface Backend {
  readonly name: string
  readonly members: number
  /** Whether it is etcd itself: some answers are its own affair (version, how it stores). */
  readonly real: boolean
  start(ending: Ending): Promise<readonly string[]>
}

export const BACKENDS: readonly Backend[] = [
  { name: 'one etcd', members: 1, real: true, start: (ending) => startEtcd(ending, 1) },
  { name: 'three etcds', members: 3, real: true, start: (ending) => startEtcd(ending, 3) },
  { name: 'our node', members: 1, real: false, start: startNode },
]

async function startNode(ending: Ending): Promise<readonly string[]> {
  const { registry, members, identity } = await startRegistryNode(ending as unknown as TestContext)
  const where = { self: identity.peerId, host: '127.0.0.1', port: 0, progressIntervalMs: PROGRESS_NOTIFY_MS }
  const surface = new EtcdSurface({ registry, members, ...where, log: silentLogger })
  await surface.start()
  ending.after(() => surface.stop())
  return [surface.address()]
}

/** What a story has: a server, keys of its own, and every way to speak to it. */
export interface Story {
  readonly backend: Backend
  readonly addresses: readonly string[]
  /** All keys of the story are below it; nobody else's are. */
  readonly prefix: string
  readonly raw: RawEtcd
  /** Done when the story is over, the last first, before its clients are closed. */
  after(undo: () => unknown): void
  key(name: string): Buffer
  etcd3(options?: Partial<IOptions>): Etcd3
  /** Runs etcdctl to its end. */
  ctl(...args: string[]): Promise<Ended>
  /** The same with something to read on its standard input. */
  ctlReading(input: string, ...args: string[]): Promise<Ended>
  /** Starts an etcdctl that goes on. */
  ctlRunning(...args: string[]): ReturnType<typeof spawnProgram>
  /** POST to the JSON gateway. */
  gateway(path: string, body: unknown): Promise<{ status: number; body: unknown }>
}

/** Where a story's keys are: every node has keys of its own; those below a federation's prefix are shared. */
export type Keys = 'local' | 'shared'
export type Tell = (keys: Keys | 'both', title: string, run: (story: Story) => Promise<void>) => void

let told = 0

/**
 * Tells the stories on every backend, the backends side by side; on each one story after the other, since they count
 * revisions, unless they are to be told all together.
 */
export function onEveryBackend(
  title: string,
  stories: (tell: Tell, backend: Backend) => void,
  { together = false } = {},
): void {
  suite(title, { concurrency: true }, () => {
    for (const backend of BACKENDS) {
      suite(backend.name, { concurrency: together }, () => stories(teller(backend), backend))
    }
  })
}

function teller(backend: Backend): Tell {
  const undo: (() => unknown)[] = []
  const ending: Ending = { after: (step) => undo.push(step) }
  let addresses: readonly string[] = []
  let raw: RawEtcd | undefined
  before(async () => {
    addresses = await backend.start(ending)
    raw = new RawEtcd(addresses[0] as string)
  })
  after(async () => {
    raw?.close()
    for (const step of undo.reverse()) await step()
  })
  return (keys, title, run) => {
    for (const where of keys === 'both' ? (['local', 'shared'] as const) : [keys]) {
      test(keys === 'both' ? `${title} (${where} keys)` : title, async (t) => {
        const prefix = `/${where}/story-${++told}/`
        const undo: (() => unknown)[] = []
        t.after(async () => {
          for (const step of undo.reverse()) await step()
        })
        const after = (step: () => unknown) => void undo.push(step)
        await run(openStory({ after, backend, addresses, prefix, raw: raw as RawEtcd }))
      })
    }
  }
}

type Place = Pick<Story, 'after' | 'backend' | 'addresses' | 'prefix' | 'raw'>

function openStory(place: Place): Story {
  const { addresses, prefix } = place
  const endpoints = `--endpoints=${addresses.join(',')}`
  const env = { ETCDCTL_API: '3' }
  return {
    ...place,
    key: (name) => Buffer.from(prefix + name),
    etcd3: (options = {}) => {
      const client = new Etcd3({ hosts: [...addresses], ...options })
      place.after(() => client.close())
      return client
    },
    ctl: (...args) => runProgram(place, 'etcdctl', [endpoints, ...args], { env }),
    ctlReading: (input, ...args) =>
      runProgram(place, 'sh', ['-c', 'printf %s "$0" | etcdctl "$@"', input, endpoints, ...args], { env }),
    ctlRunning: (...args) => spawnProgram(place, 'etcdctl', [endpoints, ...args], { env }),
    gateway: async (path, body) => {
      const text = typeof body === 'string' ? body : JSON.stringify(body)
      const answer = await fetch(`http://${addresses[0]}${path}`, { method: 'POST', body: text })
      const said = await answer.text()
      return { status: answer.status, body: parsed(said) }
    },
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
