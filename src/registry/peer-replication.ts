import type { Clock } from '../base/clock.ts'
import { type Startable, StopStack } from '../base/lifecycle.ts'
import type { Logger } from '../base/logger.ts'
import type { Network, Streams } from '../network/network.ts'
import { GossipReplication } from './gossip-replication.ts'
import type { Registry } from './registry.ts'
import { Sync } from './sync.ts'

export interface PeerReplicationParts {
  readonly registry: Registry
  readonly network: Pick<Network, 'gossip'>
  /** Where catch-up is served and asked for. */
  readonly streams: Streams & Pick<Network, 'onConnect'>
  /** May this peer read the registry? */
  readonly mayRead: (peer: string) => boolean
  readonly clock: Clock
  readonly log: Logger
}

/** How the registry reaches the other members without anybody's server: gossip at once, and catch-up for the rest. */
export class PeerReplication implements Startable {
  readonly sync: Sync
  readonly #gossip: GossipReplication
  readonly #running = new StopStack()

  constructor(parts: PeerReplicationParts) {
    const { registry, network, streams, mayRead, clock, log } = parts
    const overlooked = (peer: string) => this.sync.pullSoon(peer)
    const gossip = new GossipReplication({ registry, gossip: network.gossip, overlooked, log })
    const relay = (envelope: Uint8Array) => gossip.publish(envelope)
    this.#gossip = gossip
    this.sync = new Sync({ registry, network: streams, mayRead, relay, clock, log })
  }

  async start(): Promise<void> {
    await this.#running.start('gossip', this.#gossip)
    await this.#running.start('sync', this.sync)
  }

  async stop(): Promise<void> {
    await this.#running.unwind()
  }

  /** @throws NodeError PEER_UNREACHABLE, STREAM_CLOSED, TIMED_OUT */
  async catchUp(peer: string): Promise<void> {
    await this.sync.pullNow(peer)
  }

  /** Records that were refused for their authors' sake may be good now. */
  membersChanged(): void {
    this.sync.pullSome()
  }
}
