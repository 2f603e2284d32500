import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { HOUR_MS } from '../base/limits.ts'
import { isCircuit, isPublic } from './addresses.ts'

/** What is used here of libp2p's address manager. */
interface AddressManager {
  getAddressesWithMetadata(): {
    multiaddr: Multiaddr
    verified: boolean
    type: string
    lastVerified?: number
  }[]
  confirmObservedAddr(address: Multiaddr, options?: { type?: 'transport'; ttl?: number }): void
}

/** An address of this machine is looked at anew after this time; until then AutoNAT may find it closed. */
const TRUST_MS = 1 * HOUR_MS

/** The addresses by which libp2p thinks that this node is reached, and why. */
export class OwnAddresses {
  readonly #manager: AddressManager
  readonly #trusted = new Set<string>()

  constructor(manager: AddressManager) {
    this.#manager = manager
  }

  /**
   * libp2p tells others of a public address of this very machine only when four strangers have dialled it, of whom a
   * small federation has none. It is told at once; when it turns out to be closed AutoNAT takes it back.
   */
  trust(): void {
    for (const { multiaddr: address, type, verified } of this.#manager.getAddressesWithMetadata()) {
      const text = address.toString()
      if (type !== 'transport' || verified || isCircuit(text) || !isPublic(text)) continue
      if (this.#trusted.has(text)) continue
      this.#trusted.add(text)
      this.#manager.confirmObservedAddr(multiaddr(text), { type: 'transport', ttl: TRUST_MS })
    }
  }

  /** Addresses outside this machine that lead here: a router forwards them, or others have dialled them. */
  mapped(): string[] {
    return this.#manager
      .getAddressesWithMetadata()
      .filter(({ type, verified }) => verified && (type === 'ip-mapping' || type === 'observed'))
      .map(({ multiaddr: address }) => address.toString())
      .filter((address) => !isCircuit(address) && isPublic(address))
  }
}
