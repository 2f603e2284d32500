import { mkdir } from 'node:fs/promises'
import type { Clock } from './base/clock.ts'
import { type Database, openDatabase } from './base/database.ts'
import type { StopStack } from './base/lifecycle.ts'
import type { Logger } from './base/logger.ts'
import type { Config } from './config.ts'
import { clusterAddress } from './etcd/cluster-address.ts'
import { checkEtcdSettings } from './etcd/exposure.ts'
import { InvitationBook } from './federation/invitations.ts'
import { FederationMemory } from './federation/memory.ts'
import { finishKeyChange } from './identity/key-change.ts'
import { type Identity, loadIdentity } from './identity/node-key.ts'
import { TokenBook } from './identity/token-book.ts'
import { Marketplace } from './marketplace/marketplace.ts'
import { Network } from './network/network.ts'

/** The parts that a node has whether or not it is in a federation. */
export interface Foundation {
  readonly database: Database
  readonly identity: Identity
  readonly network: Network
  readonly memory: FederationMemory
  readonly invitations: InvitationBook
  readonly marketplace: Marketplace
  readonly tokens: TokenBook
}

export interface FoundationParts {
  readonly config: Config
  readonly version: string
  /** Gets what is to be stopped, in the order in which it was started. */
  readonly running: StopStack
  readonly clock: Clock
  readonly log: Logger
}

/** @throws NodeError DATA_IN_USE, PORT_IN_USE, INVALID_CONFIG, STORE_FAILED; `running` undoes what was begun. */
export async function startFoundation(parts: FoundationParts): Promise<Foundation> {
  const { config, version, running, clock, log } = parts
  const directory = config.dataDirectory
  // A cluster whose password cannot be read is told before anything is begun, and so is a surface that cannot be.
  await clusterAddress(config)
  await checkEtcdSettings(config.etcd)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  // First, since its lock is what keeps a second node from this directory.
  const database = await openDatabase(directory)
  running.push('database', () => database.close())
  await finishKeyChange(directory, database)
  const identity = await loadIdentity(directory)
  const tokens = new TokenBook({ directory, database, clock, log })
  await tokens.open()
  const { listen, announce, bootstrap, mdns, network: settings } = config
  const place = {
    directory,
    listen,
    announce,
    bootstrap,
    mdns,
    settings,
    agentVersion: `mao-node/${version}`,
  }
  const memory = new FederationMemory(database)
  const networkKey = (await memory.recall())?.networkKey
  const inNetwork = networkKey === undefined ? {} : { networkKey }
  const network = new Network({ identity, clock, log, ...place, ...inNetwork })
  await running.start('network', network)
  const invitations = new InvitationBook({ database, clock })
  const { gossip } = network
  const marketplace = new Marketplace({ identity, gossip, database, clock, log })
  await running.start('marketplace', marketplace)
  return { database, identity, network, memory, invitations, marketplace, tokens }
}
