/** How local keys that are written through the API end by themselves: each such write has a lease of its own. */
import { randomBytes } from 'node:crypto'
import { isNodeError } from '../base/errors.ts'
import { leasesReleasedMax, SECOND_MS } from '../base/limits.ts'
import type { KeyValue } from '../registry/key-value.ts'
import type { Leases } from '../registry/leases.ts'

/** Ids of these leases begin so, also after a restart; those of etcd's clients are chosen at random, or by them. */
const MARK = 0x4d_41_4fn
const CHOSEN_BYTES = 5
const CHOSEN_BITS = BigInt(8 * CHOSEN_BYTES)

type LeaseRoom = Pick<Leases, 'grant' | 'revoke' | 'timeToLive' | 'list'>

/** Grants them, and takes back those on which nothing hangs any more: a key that is written often uses up none. */
export class ExpiryLeases {
  /** Of writes that are under way, so that nothing hangs on them yet. */
  readonly #lent = new Set<bigint>()

  /** @throws NodeError QUEUE_FULL (no lease is left), STORE_FAILED, and what `write` throws; then the lease is gone. */
  async with<T>(leases: LeaseRoom, lifeMs: number, write: (lease: bigint) => Promise<T>): Promise<T> {
    const id = newId()
    this.#lent.add(id)
    try {
      await this.#grant(leases, id, Math.ceil(lifeMs / SECOND_MS))
      return await write(id)
    } finally {
      this.#lent.delete(id)
      await this.#release(leases, [id])
    }
  }

  /** After what hung on a lease was written anew, or deleted. */
  replaced(leases: LeaseRoom, former: readonly (KeyValue | undefined)[]): Promise<void> {
    return this.#release(leases, new Set(former.map((kv) => kv?.lease ?? 0n)))
  }

  /** Where there are as many as there may be, those go whose keys somebody else has replaced. */
  async #grant(leases: LeaseRoom, id: bigint, ttlSeconds: number): Promise<void> {
    try {
      await leases.grant(id, ttlSeconds)
    } catch (error) {
      if (!isNodeError(error, 'QUEUE_FULL')) throw error
      await this.#release(leases, leases.list())
      await leases.grant(id, ttlSeconds)
    }
  }

  async #release(leases: LeaseRoom, ids: Iterable<bigint>): Promise<void> {
    const idle = [...ids].filter((id) => {
      return id >> CHOSEN_BITS === MARK && !this.#lent.has(id) && leases.timeToLive(id)?.keys.length === 0
    })
    // What was written stands either way; a lease that stays has its time, and is looked for when there are too many.
    await Promise.allSettled(idle.slice(0, leasesReleasedMax).map((id) => leases.revoke(id)))
  }
}

function newId(): bigint {
  return (MARK << CHOSEN_BITS) | BigInt(`0x${randomBytes(CHOSEN_BYTES).toString('hex')}`)
}
