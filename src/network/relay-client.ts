import { circuitRelayTransport, RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import type { Connection, Libp2p, PeerId, Stream, Transport } from '@libp2p/interface'
import { messageOf, NodeError } from '../base/errors.ts'
import { relaysKeptMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { withoutWalks } from './without-walks.ts'

type Components = Parameters<ReturnType<typeof circuitRelayTransport>>[0]

/** What the transport keeps of its places; it has no name in the package, but is a public part of the transport. */
interface Places {
  addRelay(peer: PeerId, type: 'discovered' | 'configured'): Promise<unknown>
  hasReservation(peer: PeerId): boolean
  reservationCount(): number
}

type RelayTransport = Transport & {
  readonly reservationStore: Places
  onStop(stream: Stream, connection: Connection): Promise<void>
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
  #mayRelayUs: (peer: string) => boolean = () => false

  constructor(log: Logger) {
    this.#log = log
  }

  /**
   * The transport of relayed connections, as libp2p is to be given it. By itself it asks whoever brings a connection for a
   * place, and tells others of the addresses that it is given there [W8].
   *
   * @param mayRelayUs whom this node asks for a place.
   */
  transport(mayRelayUs: (peer: string) => boolean): (components: Components) => Transport {
    this.#mayRelayUs = mayRelayUs
    return (components) => {
      const transport = circuitRelayTransport()(withoutWalks(components)) as RelayTransport
      const places = transport.reservationStore
      const [addRelay, onStop] = [places.addRelay.bind(places), transport.onStop]
      places.addRelay = async (peer, type) => {
        if (mayRelayUs(peer.toString())) return addRelay(peer, type)
        throw new NodeError('FORBIDDEN', `${peer} is nobody whom this node asks to relay`)
      }
      transport.onStop = async (stream, connection) => {
        if (places.hasReservation(connection.remotePeer)) return onStop(stream, connection)
        stream.abort(new NodeError('FORBIDDEN', `This node has no place on ${connection.remotePeer}`))
      }
      this.#places = places
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
      if (!this.#mayRelayUs(peer)) continue
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
