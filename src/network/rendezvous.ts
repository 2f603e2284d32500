/**
 * Finding a federation by its id alone (network.md F4): its members say in the distributed table that they are there,
 * under a key made of the id, and whoever knows the id finds them.
 */
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import {
  reachLookIntervalMs,
  rendezvousContentWith,
  rendezvousDialledMax,
  rendezvousFoundMax,
  rendezvousIdleIntervalMs,
  rendezvousProvideIntervalMs,
  rendezvousSearchIntervalMs,
  tableSearchMs,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { withPeer } from './addresses.ts'
import type { Host } from './host.ts'
import type { Wanted } from './supervisor.ts'

/** The key of a federation in the distributed table. Pure. */
export async function rendezvousKey(federation: string): Promise<CID> {
  return CID.createV1(raw.code, await sha256.digest(Buffer.from(`mao-rendezvous\0${federation}`)))
}

/** Who says that it is of the federation; whether it is only its registry proves. */
export async function findProviders(host: Host, federation: string, signal?: AbortSignal): Promise<Wanted[]> {
  const deadline = AbortSignal.timeout(tableSearchMs)
  const until = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
  const found = new Map<string, Wanted>()
  try {
    for await (const { id, multiaddrs } of host.contentRouting.findProviders(
      await rendezvousKey(federation),
      { signal: until },
    )) {
      const peer = id.toString()
      if (id.equals(host.peerId)) continue
      found.set(peer, { peer, addresses: multiaddrs.map((address) => withPeer(address.toString(), peer)) })
      if (found.size >= rendezvousFoundMax) break
    }
  } catch (error) {
    // A search that ends by its time has found what it has found; one that its caller ended is over.
    if (!deadline.aborted || signal?.aborted === true) throw error
  }
  return [...found.values()]
}

export interface RendezvousFacts {
  readonly nowMs: number
  /** Nodes in our part of the table: without any, nobody would hear. */
  readonly tablePeers: number
  readonly connectedMembers: number
  readonly providedMs?: number
  readonly searchedMs?: number
}

/** What is due now. Pure. */
export function rendezvousDue(facts: RendezvousFacts): { provide: boolean; search: boolean } {
  const { nowMs, tablePeers, connectedMembers, providedMs = 0, searchedMs = 0 } = facts
  if (tablePeers === 0) return { provide: false, search: false }
  const content = connectedMembers >= rendezvousContentWith
  const interval = content ? rendezvousIdleIntervalMs : rendezvousSearchIntervalMs
  return {
    provide: nowMs - providedMs >= rendezvousProvideIntervalMs,
    search: nowMs - searchedMs >= interval,
  }
}

export interface RendezvousParts {
  readonly federation: string
  readonly host: () => Host | undefined
  readonly connectedMembers: () => number
  /** Connects with who was found. */
  readonly reach: (found: Wanted, signal: AbortSignal) => Promise<void>
  readonly clock: Clock
  readonly log: Logger
}

/** Says that this node is there, and looks for others while it knows too few. */
export class Rendezvous implements Startable {
  readonly #parts: RendezvousParts
  #timer: NodeJS.Timeout | undefined
  #stopping = new AbortController()
  #round: Promise<void> | undefined
  #host: Host | undefined
  #providedMs: number | undefined
  #searchedMs: number | undefined

  constructor(parts: RendezvousParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#timer !== undefined) return
    this.#stopping = new AbortController()
    this.#timer = setInterval(() => this.look(), reachLookIntervalMs)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#stopping.abort()
    await this.#round
  }

  /** Does what is due, unless it is at it. */
  look(): void {
    const { log } = this.#parts
    this.#round ??= this.#look(this.#stopping.signal)
      .catch((error: unknown) => {
        log.debug({ error: messageOf(error) }, 'the distributed table did not answer')
      })
      .finally(() => {
        this.#round = undefined
      })
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { federation, connectedMembers, clock } = this.#parts
    const host = this.#parts.host()
    const { dht } = host?.services ?? {}
    if (host === undefined || dht === undefined || signal.aborted) return
    // Another host is in another table: there nothing has been said yet.
    if (this.#host !== host) [this.#providedMs, this.#searchedMs, this.#host] = [undefined, undefined, host]
    const due = rendezvousDue({
      nowMs: clock.now(),
      tablePeers: dht.routingTable.size,
      connectedMembers: connectedMembers(),
      ...(this.#providedMs === undefined ? {} : { providedMs: this.#providedMs }),
      ...(this.#searchedMs === undefined ? {} : { searchedMs: this.#searchedMs }),
    })
    if (due.provide) {
      this.#providedMs = clock.now()
      const until = AbortSignal.any([signal, AbortSignal.timeout(tableSearchMs)])
      await host.contentRouting.provide(await rendezvousKey(federation), { signal: until })
    }
    if (due.search) {
      this.#searchedMs = clock.now()
      const found = await findProviders(host, federation, signal)
      const connected = new Set(host.getPeers().map(String))
      const others = found.filter(({ peer }) => !connected.has(peer))
      // [boundary] Chance is not for secrets here: whoever is nearest to the id must not be all that is ever asked.
      const chosen = others.sort(() => Math.random() - 0.5).slice(0, rendezvousDialledMax)
      await Promise.allSettled(chosen.map((one) => this.#parts.reach(one, signal)))
    }
  }
}
