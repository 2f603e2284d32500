import { circuitRelayTransport, RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { Libp2p, PeerId, Transport } from '@libp2p/interface'
import { messageOf } from '../base/errors.ts'
import { relaysKeptMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { withoutWalks } from './without-walks.ts'

type Components = Parameters<ReturnType<typeof circuitRelayTransport>>[0]

/** What the transport keeps of its places; it has no name in the package, but is a public part of the transport. */
interface Places {
  addRelay(peer: PeerId, type: 'discovered'): Promise<unknown>
  reservationCount(): number
}

/**
 * Keeps places on relays, so that a node that nobody can dial is reached through them (network.md W4). The transport
 * asks each relay once per connection; one that refused, because it had not heard yet that we are a member, or that was
 * down has to be asked again, which is done here.
 */
export class RelayClient {
  readonly #log: Logger
  readonly #asking = new Set<string>()
  #places: Places | undefined

  constructor(log: Logger) {
    this.#log = log
  }

  /** The transport of relayed connections, as libp2p is to be given it. */
  transport(): (components: Components) => Transport {
    return (components) => {
      const transport = circuitRelayTransport()(withoutWalks(components))
      this.#places = (transport as Transport & { reservationStore: Places }).reservationStore
      return transport
    }
  }

  /** Asks relays that we are connected with for a place, as long as there are too few. */
  async look(host: Libp2p): Promise<void> {
    const places = this.#places
    if (places === undefined || places.reservationCount() >= relaysKeptMax) return
    const direct = host.getConnections().filter(({ direct, status }) => direct && status === 'open')
    for (const { remotePeer } of direct) {
      const peer = remotePeer.toString()
      if (this.#asking.has(peer) || places.reservationCount() + this.#asking.size >= relaysKeptMax) continue
      const known = await host.peerStore.get(remotePeer).catch(() => undefined)
      if (known?.protocols.includes(RELAY_V2_HOP_CODEC) !== true) continue
      this.#asking.add(peer)
      places
        .addRelay(remotePeer, 'discovered')
        .catch((error: unknown) => {
          this.#log.debug({ peer, error: messageOf(error) }, 'a relay has no place for us')
        })
        .finally(() => this.#asking.delete(peer))
    }
  }
}
