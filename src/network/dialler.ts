import type { Connection } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { messageOf, NodeError } from '../base/errors.ts'
import { dialTimeoutMs } from '../base/limits.ts'
import { parseAddress } from './addresses.ts'
import type { Host } from './host.ts'

/** Says where a peer was last known to be. */
export type AddressesOf = (peer: string) => readonly string[]

/** Finds ways to peers: by addresses that somebody named, and by all that libp2p itself remembers and finds. */
export class Dialler {
  readonly #host: () => Promise<Host>
  #addressesOf: AddressesOf = () => []

  /** @param host the host, once a change of it that is under way has ended. */
  constructor(host: () => Promise<Host>) {
    this.#host = host
  }

  useAddresses(addressesOf: AddressesOf): void {
    this.#addressesOf = addressesOf
  }

  /** @returns the proven peer id of who answered at one of `addresses`. @throws NodeError PEER_UNREACHABLE */
  async dial(addresses: readonly string[], signal?: AbortSignal): Promise<string> {
    try {
      const targets = addresses.map(parseAddress)
      const connection = await (await this.#host()).dial(targets, { signal: within(signal) })
      return connection.remotePeer.toString()
    } catch (cause) {
      if (cause instanceof NodeError) throw cause
      const message = `Nobody answers at ${addresses.join(', ')}: ${messageOf(cause)}`
      throw new NodeError('PEER_UNREACHABLE', message, { addresses }, { cause })
    }
  }

  /** Connects to a peer at `addresses`, or else where libp2p remembers or finds it. @throws NodeError PEER_UNREACHABLE */
  async reach(peer: string, addresses: readonly string[], signal?: AbortSignal): Promise<void> {
    if (addresses.length === 0) return this.#dialPeer(peer, signal)
    try {
      await this.dial(addresses, signal)
    } catch (error) {
      // What the peer said last may be older than what was seen of it, on the local network for one.
      if (signal?.aborted === true) throw error
      await this.#dialPeer(peer, signal)
    }
  }

  /** An open connection to a peer, a direct one if there is one. @throws NodeError PEER_UNREACHABLE */
  async connection(peer: string, signal: AbortSignal): Promise<Connection> {
    const host = await this.#host()
    const id = peerIdFromString(peer)
    const open = () => host.getConnections(id).filter(({ status }) => status === 'open')
    if (open().length === 0) await this.reach(peer, this.#addressesOf(peer), signal)
    const [connection] = open().sort((a, b) => Number(b.direct) - Number(a.direct))
    if (connection !== undefined) return connection
    throw new NodeError('PEER_UNREACHABLE', `${peer} hung up at once`, { peer })
  }

  async #dialPeer(peer: string, signal?: AbortSignal): Promise<void> {
    try {
      await (await this.#host()).dial(peerIdFromString(peer), { signal: within(signal) })
    } catch (cause) {
      if (cause instanceof NodeError) throw cause
      const message = `${peer} is at none of the addresses known of it: ${messageOf(cause)}`
      throw new NodeError('PEER_UNREACHABLE', message, { peer }, { cause })
    }
  }
}

/** The signal of a caller, if there is one, and the longest that a dial may take. */
export function within(signal: AbortSignal | undefined): AbortSignal {
  const deadline = AbortSignal.timeout(dialTimeoutMs)
  return signal === undefined ? deadline : AbortSignal.any([signal, deadline])
}
