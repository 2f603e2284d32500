/**
 * The registry against a real etcd of one node: both are reached with the same clients over gRPC, each in a process of
 * its own; and among members against bare gossipsub.
 */
import { startRegistryNode } from '../support/registry-node.ts'
import { clientOf, startEtcd } from './etcd.ts'
import { startFarNode } from './far-node.ts'
import type { Bench } from './harness.ts'
import { calls } from './registry-calls.ts'
import { events } from './registry-events.ts'
import { catchUp, memory } from './registry-growth.ts'
import { amongMany, sustained } from './registry-members.ts'

export const registry: Bench = {
  about: 'put, get, range, watch, gossip, catch-up and memory, against etcd and bare gossipsub',
  async run(work) {
    const etcd = await startEtcd(work)
    const far = await startFarNode(work)
    const own = await startRegistryNode(work.test, { directory: await work.directory(), gossip: false })
    const rows = [
      ...(await calls(work, { ours: far.etcd, etcd: etcd.address, own })),
      ...(await events(work, clientOf(work, far.etcd), clientOf(work, etcd.address))),
      await sustained(work, await startFarNode(work)),
      await catchUp(work, await startFarNode(work), work.size(10_000, 5_000)),
    ]
    if (!work.quick) rows.push(await catchUp(work, await startFarNode(work), 100_000))
    rows.push(await memory(work, await startFarNode(work), await startEtcd(work)))
    // Last, since fifty nodes in this process stay until the end.
    return [...rows, ...(await amongMany(work))]
  },
}
