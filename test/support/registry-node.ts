import type { TestContext } from 'node:test'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { type Database, openDatabase } from '../../src/base/database.ts'
import { StopStack } from '../../src/base/lifecycle.ts'
import { type Logger, silentLogger } from '../../src/base/logger.ts'
import { Admission } from '../../src/federation/admission.ts'
import { createGenesis, type Genesis } from '../../src/federation/genesis.ts'
import type { Members } from '../../src/federation/members.ts'
import { FederationPolicy } from '../../src/federation/policy.ts'
import { type Identity, loadIdentity } from '../../src/identity/node-key.ts'
import { Network } from '../../src/network/network.ts'
import { networkSettingsSchema } from '../../src/network/settings.ts'
import { GossipReplication } from '../../src/registry/gossip-replication.ts'
import { RecordStore } from '../../src/registry/record-store.ts'
import { Registry } from '../../src/registry/registry.ts'
import { Sync } from '../../src/registry/sync.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** A member's registry with a real store and a real network on loopback, and nothing above. */
export interface RegistryNode {
  readonly identity: Identity
  readonly directory: string
  readonly genesis: Genesis
  readonly network: Network
  readonly registry: Registry
  readonly store: RecordStore
  readonly database: Database
  readonly members: Members
  readonly admission: Admission
  readonly policy: FederationPolicy
  readonly sync: Sync
  stop(): Promise<void>
}

export interface RegistryNodeOptions {
  /** The federation to be in; without it the node founds one. */
  readonly genesis?: Genesis
  /** A directory of an earlier node, to start it again. */
  readonly directory?: string
  readonly gossip?: boolean
  readonly clock?: Clock
  readonly log?: Logger
}

export async function startRegistryNode(
  test: Pick<TestContext, 'after'>,
  options: RegistryNodeOptions = {},
): Promise<RegistryNode> {
  const directory = options.directory ?? (await temporaryDirectory(test))
  const identity = await loadIdentity(directory)
  const newcomer = { name: 'fed', description: '', founderName: 'alice', createdMs: Date.now() }
  const genesis = options.genesis ?? (await createGenesis(newcomer, identity))
  const { clock = systemClock, log = silentLogger } = options
  const running = new StopStack()
  const stop = () => running.unwind()
  test.after(stop)

  const database = await openDatabase(directory)
  running.push('database', () => database.close())
  const listen = ['/ip4/127.0.0.1/tcp/0']
  // Searches of the table connect nodes that a test wants apart.
  const settings = networkSettingsSchema.parse({ dht: false })
  const place = {
    directory,
    listen,
    announce: [],
    bootstrap: [],
    mdns: false,
    agentVersion: 'test',
    settings,
  }
  const network = new Network({ identity, clock, log, ...place })
  await running.start('network', network)
  const policy = new FederationPolicy()
  const store = new RecordStore(database)
  const registry = new Registry({ federation: genesis.federation, identity, store, policy, clock, log })
  const admission = new Admission({ registry, policy, genesis, self: identity.peerId, clock, log })
  const { members } = admission
  await running.start('registry', registry)
  await running.start('admission', admission)
  const streams = admission.streams(network)
  const overlooked = (peer: string) => sync.pullSoon(peer)
  const replication = new GossipReplication({ registry, gossip: network.gossip, overlooked, log })
  const relay = (envelope: Uint8Array) => {
    if (options.gossip !== false) replication.publish(envelope)
  }
  const mayRead = (peer: string) => members.isMember(peer)
  const sync = new Sync({ registry, network: streams, mayRead, relay, clock, log })
  members.onChange(() => {
    registry.rearrange()
    sync.pullSome()
  })
  if (options.gossip !== false) {
    await running.start('gossip', replication)
  }
  await running.start('sync', sync)
  const rooms = { network, registry, store, database, members, admission, policy, sync }
  return { identity, directory, genesis, ...rooms, stop }
}

/** A founder and `names` more members, connected to the founder and caught up. */
export async function startFederation(
  test: Pick<TestContext, 'after'>,
  names: readonly string[],
): Promise<RegistryNode[]> {
  const founder = await startRegistryNode(test)
  const nodes = [founder]
  for (const name of names) {
    const node = await startRegistryNode(test, { genesis: founder.genesis })
    await founder.members.admit(node.identity.peerId, name, 'member')
    await node.network.dial(founder.network.addresses())
    await node.sync.pullNow(founder.identity.peerId)
    nodes.push(node)
  }
  return nodes
}
