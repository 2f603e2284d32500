import type { ConnectionGater } from '@libp2p/interface'
import type { Clock } from '../base/clock.ts'
import type { Conduct } from './conduct.ts'
import type { Ways } from './ways.ts'

/** What the federation says of peers; asked anew for each connection and each relay. */
export interface Gate {
  /** True for who must not be connected at all, such as a removed member. */
  refuses(peer: string): boolean
  /** True for whom this node keeps a place as a relay, such as a member. */
  relaysFor(peer: string): boolean
  /** Whether this node is one of those that relay, if it can be reached; an operator is. */
  relays?(): boolean
}

/** A node in no federation: everybody may ask to join or offer something, and nobody is relayed for. */
export const OPEN_GATE: Gate = { refuses: () => false, relaysFor: () => false }

/** Says who is to be let in where many want to. */
export interface Doors {
  /** Whether a relayed connection may be made from `source` to `destination`. */
  connects(source: string, destination: string): boolean
  /** Whether there is room for a peer that comes from `address`. */
  hasRoom(peer: string, address: string): boolean
}

export interface GatekeeperParts {
  readonly conduct: Pick<Conduct, 'isBarred'>
  readonly clock: Clock
  readonly ways: Pick<Ways, 'mayDial' | 'isNamed'>
}

/** Who may be connected with, by the federation's word and by the peer's own conduct (network.md W1). */
export class Gatekeeper {
  readonly #parts: GatekeeperParts
  #gate: Gate = OPEN_GATE

  constructor(parts: GatekeeperParts) {
    this.#parts = parts
  }

  use(gate: Gate): void {
    this.#gate = gate
  }

  refuses(peer: string): boolean {
    const { conduct, clock } = this.#parts
    return conduct.isBarred(peer, clock.now()) || this.#gate.refuses(peer)
  }

  relaysFor(peer: string): boolean {
    return !this.refuses(peer) && this.#gate.relaysFor(peer)
  }

  /** [W8] Whether this node asks `peer` for a place: members, and before it is one itself those whom its user named. */
  mayRelayUs(peer: string): boolean {
    return this.#gate === OPEN_GATE ? this.#parts.ways.isNamed(peer) : this.relaysFor(peer)
  }

  relays(): boolean {
    return this.#gate.relays?.() ?? false
  }

  /** As libp2p asks it. Who a peer is is proven only once the connection is encrypted, so that is when it is asked. */
  gater(doors: Doors): ConnectionGater {
    return {
      denyDialMultiaddr: (address) => !this.#parts.ways.mayDial(address.toString()),
      denyInboundUpgradedConnection: (peer, { remoteAddr }) =>
        !doors.hasRoom(peer.toString(), remoteAddr.toString()),
      denyDialPeer: (peer) => this.refuses(peer.toString()),
      denyInboundEncryptedConnection: (peer) => this.refuses(peer.toString()),
      denyOutboundEncryptedConnection: (peer) => this.refuses(peer.toString()),
      denyInboundRelayReservation: (peer) => !this.relaysFor(peer.toString()),
      denyOutboundRelayedConnection: (source, destination) =>
        this.refuses(source.toString()) || !doors.connects(source.toString(), destination.toString()),
      denyInboundRelayedConnection: (_, peer) => this.refuses(peer.toString()),
    }
  }
}
