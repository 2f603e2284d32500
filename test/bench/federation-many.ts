/** Many whole nodes in this process: what each costs, how soon a listing reaches all, and the traffic of presence. */
import { isNodeError, messageOf } from '../../src/base/errors.ts'
import { SECOND_MS } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { withDeadline } from '../../src/base/wait.ts'
import type { ConfigInput } from '../../src/config.ts'
import { Node } from '../../src/node.ts'
import { eventually } from '../support/eventually.ts'
import { bytesKept } from '../support/memory.ts'
import { testConfig } from '../support/quiet-node.ts'
import { presenceTraffic } from './federation-presence.ts'
import { median, percentile, type Row, row } from './figures.ts'
import { memoryDirectory, type Workplace } from './harness.ts'
import { ReceivedBytes } from './received-bytes.ts'

const MIB = 1024 ** 2
/** So many newcomers at once: more would wait for each other at the founder. */
const TOGETHER = 10
/** Who gets no answer in time asks again, as people do: all nodes share one processor here. */
const JOIN_TRIES = 5
const KNOWN_TIMEOUT_MS = 300 * SECOND_MS
const LISTING_TIMEOUT_MS = 60 * SECOND_MS
const LOOK_MS = 2
/** What all nodes together are given to stop; what is measured by then does not hang on it. */
const STOP_TIMEOUT_MS = 60 * SECOND_MS

export async function crowd(work: Workplace, count: number): Promise<Row[]> {
  work.say(`${count} nodes in one run`)
  const received = new ReceivedBytes()
  const directories = await memoryDirectory(work)
  const [before, { rss: residentBefore }] = [bytesKept(), process.memoryUsage()]
  const beginMs = performance.now()
  const nodes: Node[] = []
  try {
    await federationOf(nodes, count, () => directories.next())
    const togetherMs = performance.now() - beginMs
    const bytesEach = (bytesKept() - before) / count
    const residentEach = (process.memoryUsage().rss - residentBefore) / count
    const connections = nodes.map((node) => node.connectedPeers().length)
    const delays = await listings(nodes, work.size(10, 5))
    const renewals = nodes.map((node) => () => node.federation.presences.renew())
    const presence = await presenceTraffic(renewals, received)
    const figure = (what: string, ours: number, unit: string, aim = '') =>
      row({ name: `${count} nodes: ${what}`, ours, anchor: null, unit, aim })
    return [
      figure('started to all knowing all', togetherMs / SECOND_MS, 's'),
      figure('connections of one, median', median(connections), '', 'bounded'),
      figure('connections of one, most', Math.max(...connections), '', 'bounded'),
      figure('memory of one, heap and buffers', bytesEach / MIB, 'MiB'),
      figure('memory of one, resident', residentEach / MIB, 'MiB'),
      figure('a listing to all p50', percentile(delays, 0.5), 'ms'),
      figure('a listing to all p99', percentile(delays, 0.99), 'ms'),
      figure('presence, received by a node a minute', presence, 'KiB', '<= 200'),
    ]
  } finally {
    received.end()
    const stopped = Promise.all(nodes.map((node) => node.stop()))
    await withDeadline(stopped, STOP_TIMEOUT_MS, `The stop of ${count} nodes`).catch((error: unknown) => {
      work.say(messageOf(error))
    })
    await directories.remove()
  }
}

/** Fills `nodes` as they start, so that they can be stopped however it ends. */
export async function federationOf(
  nodes: Node[],
  count: number,
  directory: () => Promise<string>,
  more: ConfigInput = {},
): Promise<void> {
  const start = async (name: string) => {
    const place = await directory()
    // No engine: each node would look after the networks of all others' containers.
    const config = await testConfig(name, place, { docker: { socketPath: `${place}/no-engine` }, ...more })
    const node = new Node({ config, log: silentLogger })
    nodes.push(node)
    await node.start()
    return node
  }
  const founder = await start('founder')
  await founder.createFederation({ name: 'crowd' })
  for (let next = 1; next < count; next += TOGETHER) {
    const together = Array.from({ length: Math.min(TOGETHER, count - next) }, async (_, n) => {
      const newcomer = await start(`node-${next + n}`)
      await joined(newcomer, (await founder.invite()).token)
    })
    await Promise.all(together)
  }
  const known = () => nodes.every((node) => node.federation.members.list().length === count)
  await eventually(known, 'some node never heard of all members', KNOWN_TIMEOUT_MS)
}

async function joined(node: Node, token: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await node.join(token)
      return
    } catch (error) {
      const codes = ['TIMED_OUT', 'STREAM_CLOSED', 'PEER_UNREACHABLE'] as const
      if (tries === JOIN_TRIES || !codes.some((code) => isNodeError(error, code))) throw error
    }
  }
}

/** From `publish` at one node until the catalogue of each shows it, ms. */
async function listings(nodes: readonly Node[], rounds: number): Promise<number[]> {
  const delays: number[] = []
  for (let n = 0; n < rounds; n += 1) {
    const name = `listed-${n}`
    const author = nodes[n % nodes.length] as Node
    const beginMs = performance.now()
    await author.marketplace.publish({ kind: 'tool', name, description: '', body: { image: 'busybox:1.36' } })
    let waiting = [...nodes]
    const shown = () => {
      waiting = waiting.filter((node) => node.marketplace.list({ name }).length === 0)
      return waiting.length === 0
    }
    await eventually(shown, 'a listing never reached all', LISTING_TIMEOUT_MS, LOOK_MS)
    delays.push(performance.now() - beginMs)
  }
  return delays
}
