import { z } from 'zod'
import { type Database, type Table, table } from '../base/database.ts'
import { addressesPerPeerMax, DAY_MS, peersRememberedMax } from '../base/limits.ts'

const rememberedSchema = z.object({ addresses: z.array(z.string()), seenMs: z.number() })
type Remembered = z.infer<typeof rememberedSchema>

/**
 * Where members were when they were last connected, durably: libp2p forgets addresses after an hour, and presences
 * expire, so that a node that was off for weeks would find nobody once its first contact is gone.
 */
export class RememberedPeers {
  readonly #table: Table<Remembered>
  readonly #peers = new Map<string, Remembered>()

  constructor(database: Database, federation: string) {
    this.#table = table<Remembered>(database, `peers-${federation}`)
  }

  async open(): Promise<void> {
    this.#peers.clear()
    for await (const [peer, stored] of this.#table.iterator()) {
      const read = rememberedSchema.safeParse(stored)
      if (read.success) this.#peers.set(peer, read.data)
    }
  }

  addressesOf(peer: string): readonly string[] {
    return this.#peers.get(peer)?.addresses ?? []
  }

  /** Notes where a member is, what was used first; writes only when that is new, or the last note is a day old. */
  async note(peer: string, addresses: readonly string[], nowMs: number): Promise<void> {
    const known = this.#peers.get(peer)
    const merged = [...new Set([...addresses, ...(known?.addresses ?? [])])].slice(0, addressesPerPeerMax)
    const same = known !== undefined && merged.every((address, at) => address === known.addresses[at])
    if (addresses.length === 0 || (same && known.seenMs + DAY_MS > nowMs)) return
    const noted = { addresses: merged, seenMs: nowMs }
    this.#peers.set(peer, noted)
    await this.#table.put(peer, noted)
    await this.#forgetOldest()
  }

  async forget(peer: string): Promise<void> {
    if (this.#peers.delete(peer)) await this.#table.del(peer)
  }

  async #forgetOldest(): Promise<void> {
    if (this.#peers.size <= peersRememberedMax) return
    const [oldest] = [...this.#peers].sort(([, a], [, b]) => a.seenMs - b.seenMs)
    if (oldest !== undefined) await this.forget(oldest[0])
  }
}
