/** The registry among members: against bare gossipsub, which neither checks nor stores what it carries. */
import { randomBytes } from 'node:crypto'
import { withDeadline } from '../../src/base/wait.ts'
import type { Network } from '../../src/network/network.ts'
import { eventually } from '../support/eventually.ts'
import { startLoopbackNetwork } from '../support/loopback-network.ts'
import { type RegistryNode, startRegistryNode } from '../support/registry-node.ts'
import type { FarNode } from './far-node.ts'
import { percentile, type Row, row } from './figures.ts'
import { inTurns, secondsOf, type Workplace } from './harness.ts'

const NODES = 25
/** Each node dials so many of those before it. */
const DIALS = 3
const ARRIVAL_TIMEOUT_MS = 30_000
const MEET_TIMEOUT_MS = 60_000
/** As much as a record with its envelope. */
const RECORD_BYTES = 300
const MESSAGE_BYTES = 620
const TOPIC = '/bench/bare'

/** From a put at one of 25 nodes until all have it on their disks; and a message among 25 bare nodes until all have it. */
export async function amongMany(work: Workplace): Promise<Row[]> {
  work.say(`${NODES} nodes, and ${NODES} of bare gossipsub`)
  const members = await meet(work)
  const bare = await meetBare(work)
  const [founder] = members as [RegistryNode]
  let number = 0
  const committedMs = async () => {
    number += 1
    const key = `/tools/many-${number}`
    const all = members.map(
      ({ registry }) => new Promise<void>((resolve) => registry.watch(key, () => resolve())),
    )
    const begunMs = performance.now()
    await founder.registry.put(key, randomBytes(RECORD_BYTES))
    await withDeadline(Promise.all(all), ARRIVAL_TIMEOUT_MS, 'A record on its way to all')
    return performance.now() - begunMs
  }
  const delays = await inTurns(work.size(200, 40), { ours: committedMs, anchor: bare })
  return ([50, 99] as const).map((rank) => {
    const of = (values: readonly number[]) => percentile(values, rank / 100)
    const name = `put to committed on all of ${NODES} nodes p${rank} / bare gossipsub`
    return row({ name, ours: of(delays.ours), anchor: of(delays.anchor), unit: 'ms', aim: '<= 1.2x bare' })
  })
}

/** Puts at one process, as fast as they are durable, until all are committed at a second one. */
export async function sustained(work: Workplace, far: FarNode): Promise<Row> {
  const count = work.size(30_000, 5_000)
  work.say(`${count} records from one node to another`)
  const options = { genesis: far.genesis, directory: await work.directory() }
  const node = await startRegistryNode(work.test, options)
  await far.admit(node.identity.peerId, 'sustained')
  await node.network.dial(far.addresses)
  await eventually(() => node.members.isMember(node.identity.peerId), 'never admitted', MEET_TIMEOUT_MS)
  let held = 0
  const all = new Promise<void>((resolve) => {
    node.registry.watch('/tools/filled-', () => {
      held += 1
      if (held === count) resolve()
    })
  })
  const seconds = await secondsOf(async () => {
    await far.fill(count)
    await withDeadline(all, MEET_TIMEOUT_MS, 'The last of the records')
  })
  await node.stop()
  const name = `sustained, ${count} puts at one node until committed at another`
  return row({ name, ours: count / seconds, anchor: null, unit: 'records/s', aim: '-' })
}

async function meet(work: Workplace): Promise<RegistryNode[]> {
  const founder = await startRegistryNode(work.test, { directory: await work.directory() })
  const nodes = [founder]
  for (let index = 1; index < NODES; index += 1) {
    const options = { genesis: founder.genesis, directory: await work.directory() }
    const node = await startRegistryNode(work.test, options)
    await founder.members.admit(node.identity.peerId, `node-${index}`, 'member')
    nodes.push(node)
    for (const other of neighbours(nodes)) await node.network.dial(other.network.addresses())
  }
  const complete = () => nodes.every(({ members }) => members.list().length === NODES)
  await eventually(complete, 'the nodes never knew each other', MEET_TIMEOUT_MS)
  return nodes
}

/** @returns what sends one message and waits for it everywhere, ms. */
async function meetBare(work: Workplace): Promise<() => Promise<number>> {
  const networks: Network[] = []
  const heard = new Map<number, Set<string>>()
  let waiting: (() => void) | undefined
  for (let index = 0; index < NODES; index += 1) {
    const network = await startLoopbackNetwork(work.test)
    network.gossip.join(TOPIC, async (bytes) => {
      const number = Buffer.from(bytes.buffer, bytes.byteOffset).readUInt32BE()
      const by = heard.get(number) ?? new Set()
      heard.set(number, by.add(network.peerId))
      if (by.size === NODES - 1) waiting?.()
      return 'accept'
    })
    networks.push(network)
    for (const other of neighbours(networks)) await network.dial(other.addresses())
  }
  const [first] = networks as [Network]
  let number = 0
  const send = async () => {
    number += 1
    const message = randomBytes(MESSAGE_BYTES)
    message.writeUInt32BE(number)
    const all = new Promise<void>((resolve) => {
      waiting = resolve
    })
    const begunMs = performance.now()
    await first.gossip.publish(TOPIC, message)
    await withDeadline(all, ARRIVAL_TIMEOUT_MS, 'A message on its way to all')
    return performance.now() - begunMs
  }
  // Until the mesh stands, messages are lost.
  await eventually(
    () =>
      withDeadline(send(), 1_000, 'A first message').then(
        () => true,
        () => false,
      ),
    'bare gossip never reached all',
    MEET_TIMEOUT_MS,
  )
  return send
}

/** Those that the last of all dials: the same shape for both kinds of nodes. */
function neighbours<T>(all: readonly T[]): T[] {
  const before = all.slice(0, -1)
  return Array.from(
    { length: Math.min(DIALS, before.length) },
    (_, n) => before[(n * 7) % before.length] as T,
  )
}
