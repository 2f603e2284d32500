/** What the tests ask of a federation whose nodes run on hosts of their own. */
import { entryDetailSchema, peersSchema } from '../../../src/api/registry-views.ts'
import { eventually } from '../eventually.ts'
import type { NodeOnHost } from './node-on-host.ts'

const TOGETHER_TIMEOUT_MS = 30_000
/** Whole nodes that are asked too often have less time for each other. */
export const PAUSE_MS = 100

/** Until each has a connection to each other. */
export async function allConnected(
  nodes: readonly NodeOnHost[],
  timeoutMs = TOGETHER_TIMEOUT_MS,
): Promise<void> {
  await Promise.all(nodes.map((node) => connectedTo(node, nodes, timeoutMs)))
}

/** Until a node is connected to just those, itself left out. */
export async function connectedTo(
  node: NodeOnHost,
  others: readonly NodeOnHost[],
  timeoutMs = TOGETHER_TIMEOUT_MS,
): Promise<void> {
  const wanted = others
    .map(({ name }) => name)
    .filter((name) => name !== node.name)
    .sort()
  const connected = async () => (await node.connectedMembers()).sort().join() === wanted.join()
  const complaint = `${node.name} is not connected to just ${wanted.join(', ') || 'nobody'}`
  await eventually(connected, complaint, timeoutMs, PAUSE_MS)
}

export const NOT_CONNECTED = 'not connected'

/** The address at which a node has the other: one with `p2p-circuit` where that is by a relay. */
export async function wayTo(node: NodeOnHost, other: NodeOnHost): Promise<string> {
  const { peers } = await node.get('/peers', peersSchema)
  const seen = peers.find(({ peer, connected }) => connected && peer === other.peerId)
  return seen?.addresses[0] ?? NOT_CONNECTED
}

/** Until all hold the same registry. */
export async function allAlike(nodes: readonly NodeOnHost[], timeoutMs = TOGETHER_TIMEOUT_MS): Promise<void> {
  const alike = async () => new Set(await Promise.all(nodes.map((node) => node.digest()))).size === 1
  const complaint = `${nodes.map(({ name }) => name).join(', ')} hold different registries`
  await eventually(alike, complaint, timeoutMs, PAUSE_MS)
}

export async function putTool(node: NodeOnHost, name: string): Promise<void> {
  const value = { json: { image: `${node.name}/${name}:1` } }
  await node.put('/registry/entry', entryDetailSchema, { key: `/tools/${name}`, value })
}
