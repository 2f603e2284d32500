import type { Connection } from '@libp2p/interface'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { inboundProofMs, reachLookIntervalMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { isCircuit, isPublic } from './addresses.ts'
import type { Gatekeeper } from './gatekeeper.ts'
import { type Host, wantsRelays, wantsUpnp } from './host.ts'
import { isOutside, type Reachability, reachabilityOf } from './reachability.ts'
import type { RelayClient } from './relay-client.ts'
import type { NetworkSettings } from './settings.ts'

export interface ReachParts {
  readonly host: Host
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  readonly settings: NetworkSettings
  readonly gatekeeper: Pick<Gatekeeper, 'relays'>
  readonly relayClient: RelayClient
  readonly clock: Clock
  readonly log: Logger
}

/**
 * Watches how this node is reached, and does what follows from it: an operator that can be reached relays, a node that
 * cannot keeps places on relays, and only who can be reached answers others' searches of the distributed table.
 */
export class Reach implements Startable {
  readonly #parts: ReachParts
  #timer: NodeJS.Timeout | undefined
  #inboundMs: number | undefined
  #round: Promise<void> | undefined
  readonly #onOpen = (event: CustomEvent<Connection>) => this.#opened(event.detail)

  constructor(parts: ReachParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#timer !== undefined) return
    const { host } = this.#parts
    host.addEventListener('connection:open', this.#onOpen)
    this.#timer = setInterval(() => this.look(), reachLookIntervalMs)
    this.#timer.unref()
    for (const connection of host.getConnections()) this.#opened(connection)
    this.look()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#parts.host.removeEventListener('connection:open', this.#onOpen)
    await this.#round
    await this.#parts.host.services.relay.serve(false)
  }

  now(): Reachability {
    const { host, listen, announce, clock } = this.#parts
    const proven = this.#inboundMs !== undefined && this.#inboundMs + inboundProofMs > clock.now()
    const connections = host.getConnections()
    return reachabilityOf({
      listen,
      announce,
      addresses: host.getMultiaddrs().map(String),
      mapped: host.services.ownAddresses.mapped(),
      upnp: wantsUpnp(this.#parts),
      ...(proven && this.#inboundMs !== undefined ? { inboundMs: this.#inboundMs } : {}),
      outside: connections.some(({ remoteAddr }) => isPublic(remoteAddr.toString())),
      relayed: wantsRelays(this.#parts),
    })
  }

  /** Looks now, unless it does already. */
  look(): void {
    const { log } = this.#parts
    this.#round ??= this.#look()
      .catch((error: unknown) => {
        log.warn({ error: messageOf(error) }, 'how this node is reached could not be attended to')
      })
      .finally(() => {
        this.#round = undefined
      })
  }

  async #look(): Promise<void> {
    const { host, settings, gatekeeper, relayClient } = this.#parts
    if (this.#timer === undefined) return
    const { relay, dht, ownAddresses } = host.services
    ownAddresses.trust()
    const reachability = this.now()
    const reached = isOutside(reachability)
    await relay.serve(
      settings.relay === 'auto' ? reached && gatekeeper.relays() : settings.relay === 'always',
    )
    relay.revoke()
    // Searchers are not to wait for nodes that they cannot dial.
    await dht?.setMode(reached || reachability.status === 'local' ? 'server' : 'client')
    if (wantsRelays(this.#parts) && !reached) await relayClient.look(host)
  }

  #opened({ direction, direct, remoteAddr }: Connection): void {
    const from = remoteAddr.toString()
    if (direction !== 'inbound' || !direct || isCircuit(from)) return
    // A neighbour on the own network proves nothing.
    if (isPublic(from)) this.#inboundMs = this.#parts.clock.now()
  }
}
