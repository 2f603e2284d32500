import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { presenceIntervalMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { withDeadline } from '../base/wait.ts'
import type { Network } from '../network/network.ts'
import type { Wanted } from '../network/supervisor.ts'
import { Collection } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import type { Members } from './members.ts'

/** Addresses that one member tells of itself. */
const ADDRESSES_MAX = 32

/** How a member says that others can reach it; see network/reachability.ts. */
export const REACHABLE = ['public', 'forwarded', 'relayed', 'outbound-only', 'local'] as const
export type Reachable = (typeof REACHABLE)[number]

/**
 * `/presence/<peer>`: where a member can be reached and what it runs; expires unless renewed. Members of other versions
 * may say more or less, so whatever is new here is optional, and what is not known is passed over.
 */
export const presenceSchema = z.object({
  addresses: z.array(z.string().max(500)).max(ADDRESSES_MAX),
  version: z.string().max(50),
  /** Since when the node runs, ms by its own clock. */
  startedMs: z.number().int().nonnegative().optional(),
  reachable: z.enum(REACHABLE).optional(),
  /** The last word of a node that was stopped properly. */
  left: z.literal(true).optional(),
})
export type Presence = z.infer<typeof presenceSchema>

/** What is known here of a member's whereabouts. */
export interface Sighting extends Partial<Presence> {
  readonly online: boolean
  /** When it last said that it is there, ms by its own clock. */
  readonly lastSeenMs?: number
  readonly addresses: string[]
}

/** How many renewals may be missed before a member counts as away. */
const RENEWALS = 3
/** What a node that stops waits for its last word to be written. */
const GOODBYE_MS = 1_000
/** A member's last addresses are remembered for so long after it was last heard of. */
const REMEMBERED_FACTOR = 2 * 24 * 12

export interface PresencesParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'watch'>
  readonly members: Pick<Members, 'list' | 'isMember'>
  readonly network: Pick<Network, 'addresses' | 'peerId' | 'connectedPeers'>
  readonly clock: Clock
  readonly version: string
  /** How others can reach this node, as far as it knows by now. */
  readonly reachable?: () => Reachable | undefined
  readonly log: Logger
}

/** Says that this node is there, and knows of the others where they were last. */
export class Presences implements Startable {
  readonly #parts: PresencesParts
  readonly #collection: Collection<Presence>
  #timer: NodeJS.Timeout | undefined
  #first: Promise<void> | undefined
  #startedMs = 0

  constructor(parts: PresencesParts) {
    this.#parts = parts
    const { registry, log } = parts
    this.#collection = new Collection({ registry, prefix: '/presence/', schema: presenceSchema, log })
  }

  async start(): Promise<void> {
    if (this.#timer !== undefined) return
    this.#startedMs = this.#parts.clock.now()
    this.#timer = setInterval(() => void this.renew(), presenceIntervalMs)
    this.#timer.unref()
    // Where the registry is out of reach for the moment, the node starts all the same.
    this.#first = this.renew()
  }

  /** Says goodbye, so that the others need not wait for renewals that do not come. */
  async stop(): Promise<void> {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.#first
    // Where the registry is out of reach, stopping is not to wait for it.
    await withDeadline(this.#say({ left: true }), GOODBYE_MS, 'The last word').catch((error: unknown) => {
      this.#parts.log.debug({ error: messageOf(error) }, 'the others were not told that this node stops')
    })
  }

  /** Writes this node's presence; before its admission has arrived there is nobody to tell. */
  async renew(): Promise<void> {
    // A renewal that says the same again changes nothing for those who watch: only its time and expiry move on.
    await this.#say({ startedMs: this.#startedMs }, this.#parts.reachable)
  }

  async #say(words: Pick<Presence, 'startedMs' | 'left'>, how?: PresencesParts['reachable']): Promise<void> {
    const { members, network, clock, version, log } = this.#parts
    if (!members.isMember(network.peerId)) return
    // It expires late, so that addresses outlive a long absence; whether a member is there is told by `lastSeenMs`.
    const expiresMs = clock.now() + REMEMBERED_FACTOR * presenceIntervalMs
    try {
      // Both are out of reach while the network changes its key, or stops.
      const addresses = network.addresses().slice(0, ADDRESSES_MAX)
      const reachable = how?.()
      const said = { addresses, version, ...words, ...(reachable === undefined ? {} : { reachable }) }
      await this.#collection.put(network.peerId, said, { expiresMs })
    } catch (error) {
      log.warn({ error: messageOf(error) }, 'presence was not renewed')
    }
  }

  /** Whether `peer` is connected or said lately that it is there, and what it said. */
  seen(peer: string): Sighting {
    const { network, clock } = this.#parts
    const connected = peer === network.peerId || network.connectedPeers().includes(peer)
    const item = this.#collection.get(peer)
    if (item === undefined) return { online: connected, addresses: [] }
    const { timeMs } = item.entry
    const recent = item.value.left !== true && timeMs + RENEWALS * presenceIntervalMs > clock.now()
    return { online: connected || recent, lastSeenMs: timeMs, ...item.value }
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
