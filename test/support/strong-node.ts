import type { TestContext } from 'node:test'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { openDatabase } from '../../src/base/database.ts'
import { StopStack } from '../../src/base/lifecycle.ts'
import { type Logger, silentLogger } from '../../src/base/logger.ts'
import type { ClusterAddress } from '../../src/etcd/cluster-address.ts'
import { ClusterReplication } from '../../src/etcd/cluster-replication.ts'
import { createGenesis, type Genesis } from '../../src/federation/genesis.ts'
import { Members } from '../../src/federation/members.ts'
import { FederationPolicy } from '../../src/federation/policy.ts'
import { type Identity, loadIdentity } from '../../src/identity/node-key.ts'
import { RecordStore } from '../../src/registry/record-store.ts'
import { Registry } from '../../src/registry/registry.ts'
import { temporaryDirectory } from './temporary-directory.ts'

/** A member's registry in strong mode, with a real store, and nothing above. */
export interface StrongNode {
  readonly identity: Identity
  readonly directory: string
  readonly genesis: Genesis
  readonly registry: Registry
  readonly members: Members
  readonly cluster: ClusterReplication
  stop(): Promise<void>
}

export interface StrongNodeOptions {
  readonly address: ClusterAddress
  /** The federation to be in; without it the node founds one. */
  readonly genesis?: Genesis
  /** A directory of an earlier node, to start it again. */
  readonly directory?: string
  readonly clock?: Clock
  readonly log?: Logger
}

export async function startStrongNode(
  test: Pick<TestContext, 'after'>,
  options: StrongNodeOptions,
): Promise<StrongNode> {
  const { address, clock = systemClock, log = silentLogger } = options
  const directory = options.directory ?? (await temporaryDirectory(test))
  const identity = await loadIdentity(directory)
  const newcomer = { name: 'fed', description: '', founderName: 'alice', createdMs: Date.now() }
  const genesis = options.genesis ?? (await createGenesis(newcomer, identity))
  const running = new StopStack()
  const stop = () => running.unwind()
  test.after(stop)
  const database = await openDatabase(directory)
  running.push('database', () => database.close())
  const policy = new FederationPolicy()
  const store = new RecordStore(database)
  const registry = new Registry({ federation: genesis.federation, identity, store, policy, clock, log })
  const members = new Members({ registry, genesis, self: identity.peerId, clock, log })
  policy.use(members)
  members.onChange(() => registry.rearrange())
  await running.start('registry', registry)
  const cluster = new ClusterReplication({ address, registry, self: identity.peerId, clock, log })
  await running.start('cluster', cluster)
  return { identity, directory, genesis, registry, members, cluster, stop }
}

/** A founder and `names` more members, each caught up with the cluster. */
export async function startStrongFederation(
  test: Pick<TestContext, 'after'>,
  names: readonly string[],
  options: StrongNodeOptions,
): Promise<StrongNode[]> {
  const founder = await startStrongNode(test, options)
  const nodes = [founder]
  for (const name of names) {
    const node = await startStrongNode(test, { ...options, genesis: founder.genesis })
    await founder.members.admit(node.identity.peerId, name, 'member')
    await node.cluster.catchUp()
    nodes.push(node)
  }
  return nodes
}
