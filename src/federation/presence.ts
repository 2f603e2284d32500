import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { presenceIntervalMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { Network } from '../network/network.ts'
import type { Wanted } from '../network/supervisor.ts'
import { Collection } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import type { Members } from './members.ts'

/** `/presence/<peer>`: where a member can be reached and what it runs; expires unless renewed. */
export const presenceSchema = z.strictObject({
  addresses: z.array(z.string().max(500)).max(32),
  version: z.string().max(50),
})
export type Presence = z.infer<typeof presenceSchema>

/** How many renewals may be missed before a member counts as away. */
const RENEWALS = 3
/** A member's last addresses are remembered for so long after it was last heard of. */
const REMEMBERED_FACTOR = 2 * 24 * 12

export interface PresencesParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'watch'>
  readonly members: Pick<Members, 'list' | 'isMember'>
  readonly network: Pick<Network, 'addresses' | 'peerId' | 'connectedPeers'>
  readonly clock: Clock
  readonly version: string
  readonly log: Logger
}

/** Says that this node is there, and knows of the others where they were last. */
export class Presences implements Startable {
  readonly #parts: PresencesParts
  readonly #collection: Collection<Presence>
  #timer: NodeJS.Timeout | undefined
  #first: Promise<void> | undefined

  constructor(parts: PresencesParts) {
    this.#parts = parts
    const { registry, log } = parts
    this.#collection = new Collection({ registry, prefix: '/presence/', schema: presenceSchema, log })
  }

  async start(): Promise<void> {
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => void this.renew(), presenceIntervalMs)
    this.#timer.unref()
    // Where the registry is out of reach for the moment, the node starts all the same.
    this.#first = this.renew()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.#first
  }

  /** Writes this node's presence; before its admission has arrived there is nobody to tell. */
  async renew(): Promise<void> {
    const { members, network, clock, version, log } = this.#parts
    if (!members.isMember(network.peerId)) return
    const addresses = network.addresses()
    // It expires late, so that addresses outlive a long absence; whether a member is there is told by `lastSeenMs`.
    const expiresMs = clock.now() + REMEMBERED_FACTOR * presenceIntervalMs
    try {
      await this.#collection.put(network.peerId, { addresses, version }, { expiresMs })
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'presence was not renewed')
    }
  }

  /** When `peer` last said that it is there, ms, and whether that is recent enough or it is connected now. */
  seen(peer: string): {
    online: boolean
    lastSeenMs?: number
    addresses: readonly string[]
    version?: string
  } {
    const { network, clock } = this.#parts
    const connected = peer === network.peerId || network.connectedPeers().includes(peer)
    const item = this.#collection.get(peer)
    if (item === undefined) return { online: connected, addresses: [] }
    const recent = item.entry.timeMs + RENEWALS * presenceIntervalMs > clock.now()
    return { online: connected || recent, lastSeenMs: item.entry.timeMs, ...item.value }
  }

  /** The other members with their addresses, for the supervisor. */
  wanted(): Wanted[] {
    const { members, network } = this.#parts
    return members
      .list()
      .filter((member) => member.peer !== network.peerId)
      .map((member) => ({ peer: member.peer, addresses: this.#dialable(member.peer) }))
  }

  /** Addresses that end in another peer's id are left out: a member speaks for itself alone. */
  #dialable(peer: string): string[] {
    const addresses = this.#collection.get(peer)?.value.addresses ?? []
    return addresses.filter((address) => address.endsWith(`/p2p/${peer}`))
  }
}
