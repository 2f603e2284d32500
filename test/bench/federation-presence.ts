/** What it costs that everybody says that it is there, and two hundred who say it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../../src/base/clock.ts'
import { MINUTE_MS, presenceIntervalMs, SECOND_MS } from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { Presences } from '../../src/federation/presence.ts'
import { type RegistryNode, startRegistryNode } from '../support/registry-node.ts'
import { type Row, row } from './figures.ts'
import { memoryDirectory, type Workplace } from './harness.ts'
import { ReceivedBytes } from './received-bytes.ts'

/** Renewals that are listened to, of all nodes together, and how long. */
const RENEWALS = 100
const LISTEN_MS = 15 * SECOND_MS
/** One renewal reaches everybody, whose work all is done by this one process. */
const RENEWAL_OF_ONE_MS = 1
/** Gossip forms its meshes, and each connection's first catch-ups come to an end. */
const SETTLE_MS = 10 * SECOND_MS
/** So many others each node connects with; as many on the average come to it from others. */
const DIALLED = 6
const TOGETHER = 20

/**
 * Everybody renews while the lines are listened to, which in life takes an interval; what goes over them anyway in the
 * same time is taken off.
 */
export async function presenceTraffic(renewals: readonly (() => unknown)[], received: ReceivedBytes) {
  const count = renewals.length
  const rounds = Math.max(1, Math.round(RENEWALS / count))
  const listenMs = Math.max(LISTEN_MS, rounds * count ** 2 * RENEWAL_OF_ONE_MS)
  const idle = await received.during(() => sleep(listenMs))
  // On a busy machine this takes longer than it should, and so does what goes over the lines anyway.
  const beginMs = performance.now()
  const renewing = await received.during(async () => {
    const gapMs = (listenMs * 0.8) / (count * rounds)
    for (let n = 0; n < count * rounds; n += 1) {
      renewals[n % count]?.()
      await sleep(gapMs)
    }
    await sleep(listenMs * 0.2)
  })
  const besides = (idle * (performance.now() - beginMs)) / listenMs
  const eachMinute = (renewing - besides) / (count * rounds) / (presenceIntervalMs / MINUTE_MS)
  return eachMinute / 1024
}

/** The same among nodes that consist of network, registry and presence alone. */
export async function presenceOfMany(work: Workplace, count: number): Promise<Row> {
  work.say(`${count} nodes of network, registry and presence`)
  const received = new ReceivedBytes()
  const nodes: RegistryNode[] = []
  const directories = await memoryDirectory(work)
  try {
    const founder = await startRegistryNode(work.test, { directory: await directories.next() })
    nodes.push(founder)
    const { genesis } = founder
    while (nodes.length < count) {
      const wanted = Math.min(TOGETHER, count - nodes.length)
      const starting = Array.from({ length: wanted }, async () =>
        startRegistryNode(work.test, { genesis, directory: await directories.next() }),
      )
      nodes.push(...(await Promise.all(starting)))
    }
    for (const [n, { identity }] of nodes.entries()) {
      if (n > 0) await founder.members.admit(identity.peerId, `node-${n}`, 'member')
    }
    // Who is a member is handed to all beforehand: how they come to know it is measured with whole nodes.
    const admissions = nodes.flatMap(
      ({ identity }) => founder.registry.envelope(`/members/${identity.peerId}`) ?? [],
    )
    for (const { registry } of nodes.slice(1)) await registry.receiveAll(admissions)
    if (!nodes.every(({ members }) => members.list().length === count))
      throw new Error('some node does not know all members')
    for (const [n, { network }] of nodes.entries()) {
      for (let k = 1; k <= Math.min(n, DIALLED); k += 1) {
        const other = nodes[Math.floor((n * k) / (DIALLED + 1))] as RegistryNode
        // One that does not answer in time is no matter among so many.
        await network.dial(other.network.addresses()).catch(() => undefined)
      }
    }
    await sleep(SETTLE_MS)
    const presences = nodes.map(({ registry, members, network }) => {
      return new Presences({
        registry,
        members,
        network,
        version: 'bench',
        clock: systemClock,
        log: silentLogger,
      })
    })
    const ours = await presenceTraffic(
      presences.map((one) => () => one.renew()),
      received,
    )
    const connections = nodes.map(({ network }) => network.connectedPeers().length).sort((a, b) => a - b)
    const what = `${count} nodes of network, registry and presence, ${connections[count / 2]} connections each`
    const name = `${what}: presence, received by a node a minute`
    return row({ name, ours, anchor: null, unit: 'KiB', aim: '<= 200' })
  } finally {
    received.end()
    await Promise.allSettled(nodes.map((node) => node.stop()))
    await directories.remove()
  }
}
