import type { PeerInfo } from '@libp2p/interface'
import { messageOf } from '../base/errors.ts'
import { peersFoundMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { withPeer } from './addresses.ts'

export interface FoundPeersParts {
  readonly network: {
    readonly peerId: string
    connectedPeers(): string[]
    reach(peer: string, addresses: readonly string[]): Promise<void>
  }
  readonly log: Logger
}

/** Dials who is seen on the local network, since libp2p 3 does not. It is told again and again, so that this retries. */
export class FoundPeers {
  readonly #parts: FoundPeersParts
  /** Those found before the host had started. */
  #early: PeerInfo[] | undefined

  constructor(parts: FoundPeersParts) {
    this.#parts = parts
  }

  /** A host begins: the first answer comes while it still starts, and the next one only with the next question. */
  wait(): void {
    this.#early = []
  }

  /** The host has started, or there is none. */
  dialEarly(): void {
    const early = this.#early ?? []
    this.#early = undefined
    for (const one of early) this.found(one)
  }

  found({ id, multiaddrs }: PeerInfo): void {
    const { network, log } = this.#parts
    const peer = id.toString()
    if (this.#early !== undefined) {
      if (this.#early.length < peersFoundMax) this.#early.push({ id, multiaddrs })
      return
    }
    const connected = network.connectedPeers()
    if (connected.includes(peer) || connected.length >= peersFoundMax || peer === network.peerId) return
    const at = multiaddrs.map((address) => withPeer(address.toString(), peer))
    network.reach(peer, at).catch((error: unknown) => {
      log.debug({ peer, error: messageOf(error) }, 'a peer found is not reachable yet')
    })
  }
}
