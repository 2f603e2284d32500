/** Many whole nodes in this process: what each costs, how soon a listing reaches all, and the traffic of presence. */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { MINUTE_MS, presenceIntervalMs } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { withDeadline } from '../../src/base/wait.ts'
import type { Node } from '../../src/node.ts'
import { Node as WholeNode } from '../../src/node.ts'
import { eventually } from '../support/eventually.ts'
import { bytesKept } from '../support/memory.ts'
import { testConfig } from '../support/quiet-node.ts'
import { median, percentile, type Row, row } from './figures.ts'
import type { Workplace } from './harness.ts'

const MIB = 1024 ** 2
/** So many newcomers at once: more would wait for each other at the founder. */
const TOGETHER = 10
const KNOWN_TIMEOUT_MS = 300_000
const LISTING_TIMEOUT_MS = 60_000
/** How long the line is listened to, with renewals and without. */
const LISTEN_MS = 15_000
/** Each node renews so often while it is listened to, so that other traffic weighs little beside it. */
const RENEWALS = 5

export async function crowd(work: Workplace, count: number): Promise<Row[]> {
  work.say(`${count} nodes in one run`)
  const before = bytesKept()
  const beginMs = performance.now()
  const nodes = await federationOf(work, count)
  try {
    const togetherMs = performance.now() - beginMs
    const bytesEach = (bytesKept() - before) / count
    const connections = nodes.map((node) => node.connectedPeers().length)
    const rows = [
      row({
        name: `${count} nodes: started to all knowing all`,
        ours: togetherMs / 1000,
        anchor: null,
        unit: 's',
        aim: '',
      }),
      row({
        name: `${count} nodes: connections of one, median`,
        ours: median(connections),
        anchor: null,
        unit: '',
        aim: 'bounded',
      }),
      row({
        name: `${count} nodes: connections of one, most`,
        ours: Math.max(...connections),
        anchor: null,
        unit: '',
        aim: 'bounded',
      }),
      row({
        name: `${count} nodes: memory of one`,
        ours: bytesEach / MIB,
        anchor: null,
        unit: 'MiB',
        aim: '',
      }),
    ]
    const delays = await listings(nodes, work.size(10, 5))
    for (const rank of [50, 99]) {
      const ours = percentile(delays, rank / 100)
      rows.push(
        row({ name: `${count} nodes: a listing to all p${rank}`, ours, anchor: null, unit: 'ms', aim: '' }),
      )
    }
    rows.push(await presenceTraffic(nodes))
    return rows
  } finally {
    await Promise.all(nodes.map((node) => node.stop()))
  }
}

async function federationOf(work: Workplace, count: number): Promise<Node[]> {
  const nodes: Node[] = []
  const start = async (name: string) => {
    const node = new WholeNode({ config: await testConfig(name, await work.directory()), log: silentLogger })
    work.after(() => node.stop())
    await node.start()
    nodes.push(node)
    return node
  }
  const founder = await start('founder')
  await founder.createFederation({ name: 'crowd' })
  for (let next = 1; next < count; next += TOGETHER) {
    const together = Array.from({ length: Math.min(TOGETHER, count - next) }, async (_, n) => {
      const newcomer = await start(`node-${next + n}`)
      await newcomer.join((await founder.invite()).token)
    })
    await Promise.all(together)
  }
  const known = () => nodes.every((node) => node.federation.members.list().length === count)
  await eventually(known, 'some node never heard of all members', KNOWN_TIMEOUT_MS)
  return nodes
}

/** From `publish` at one node until the catalogue of each shows it, ms. */
async function listings(nodes: readonly Node[], rounds: number): Promise<number[]> {
  const delays: number[] = []
  for (let n = 0; n < rounds; n += 1) {
    const name = `listed-${n}`
    const author = nodes[n % nodes.length] as Node
    const beginMs = performance.now()
    await author.marketplace.publish({ kind: 'tool', name, description: '', body: { image: 'busybox:1.36' } })
    const shown = async (node: Node) => {
      while (node.marketplace.list({ name }).length === 0) await sleep(2)
    }
    await withDeadline(Promise.all(nodes.map(shown)), LISTING_TIMEOUT_MS, 'A listing on its way to all')
    delays.push(performance.now() - beginMs)
  }
  return delays
}

/**
 * Everybody renews some times over while the line is listened to, which in life takes as many intervals; what goes over
 * the line anyway in the same time is taken off. On loopback each byte is counted once, with all that TCP adds.
 */
async function presenceTraffic(nodes: readonly Node[]): Promise<Row> {
  const idle = await bytesDuring(() => sleep(LISTEN_MS))
  const renewing = await bytesDuring(async () => {
    const gapMs = (LISTEN_MS * 0.8) / (nodes.length * RENEWALS)
    for (let n = 0; n < RENEWALS * nodes.length; n += 1) {
      void (nodes[n % nodes.length] as Node).federation.presences.renew()
      await sleep(gapMs)
    }
    await sleep(LISTEN_MS * 0.2)
  })
  const eachInterval = (renewing - idle) / (nodes.length * RENEWALS)
  const eachMinute = eachInterval / (presenceIntervalMs / MINUTE_MS)
  const name = `${nodes.length} nodes: presence, received by a node a minute`
  return row({ name, ours: eachMinute / 1024, anchor: null, unit: 'KiB', aim: '<= 200' })
}

async function bytesDuring(work: () => Promise<unknown>): Promise<number> {
  const before = await loopbackBytes()
  await work()
  return (await loopbackBytes()) - before
}

/** What loopback has received since the machine started (proc(5), /proc/net/dev). */
async function loopbackBytes(): Promise<number> {
  const text = await readFile('/proc/net/dev', 'utf8')
  const [, bytes] = /^\s*lo:\s*(\d+)/m.exec(text) ?? []
  if (bytes === undefined) throw new Error('/proc/net/dev tells nothing of loopback')
  return Number(bytes)
}
