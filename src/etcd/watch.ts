/**
 * One watch of a client, and the index that finds the watches of a key. A watch that is in step is told what happens when it
 * happens; one that is behind (it began in the past, or its client reads slowly) has a cursor and reads the history
 * when there is room, so that nothing is ever queued for it.
 */
import type { KeyRange } from '../registry/key-range.ts'
import { isWithin } from '../registry/key-range.ts'
import type { KeyEvent } from '../registry/transaction.ts'
import type { EncodedEvent, EventBytes } from './event-bytes.ts'

/** etcd's FilterType, as it travels: what is left out. */
const [NO_PUT, NO_DELETE] = [0, 1]

export interface WatchWishes {
  readonly id: bigint
  readonly range: KeyRange
  /** The first revision that it is told. */
  readonly from: number
  readonly filters: readonly number[]
  readonly previous: boolean
  readonly fragment: boolean
  readonly progress: boolean
}

export class Watch {
  readonly id: bigint
  readonly range: KeyRange
  readonly fragment: boolean
  readonly progress: boolean
  /** The first revision that it has not been told of, as far as it matters: what is before is done. */
  next: number
  /** True when nothing was told since the last look at it. */
  quiet = false
  readonly #previous: boolean
  readonly #puts: boolean
  readonly #deletes: boolean

  constructor(wishes: WatchWishes) {
    this.id = wishes.id
    this.range = wishes.range
    this.fragment = wishes.fragment
    this.progress = wishes.progress
    this.next = wishes.from
    this.#previous = wishes.previous
    this.#puts = !wishes.filters.includes(NO_PUT)
    this.#deletes = !wishes.filters.includes(NO_DELETE)
  }

  /** Whether it asks for this event; its key is another question. */
  wants({ type, kv }: KeyEvent): boolean {
    return kv.modified >= this.next && (type === 'put' ? this.#puts : this.#deletes)
  }

  /** The event as this watch is told it. */
  told(bytes: EventBytes): EncodedEvent {
    return this.#previous ? bytes.withPrevious : bytes.plain
  }
}

/** Watches with whoever tells them, by what they watch. */
export class WatchIndex<Teller> {
  readonly #keys = new Map<string, Map<Watch, Teller>>()
  readonly #ranges = new Map<Watch, Teller>()

  get isEmpty(): boolean {
    return this.#keys.size === 0 && this.#ranges.size === 0
  }

  add(watch: Watch, teller: Teller): void {
    const { from, to } = watch.range
    if (to !== undefined) {
      this.#ranges.set(watch, teller)
      return
    }
    const same = this.#keys.get(from) ?? new Map<Watch, Teller>()
    this.#keys.set(from, same.set(watch, teller))
  }

  delete(watch: Watch): void {
    const { from, to } = watch.range
    if (to !== undefined) {
      this.#ranges.delete(watch)
      return
    }
    const same = this.#keys.get(from)
    same?.delete(watch)
    if (same?.size === 0) this.#keys.delete(from)
  }

  forEach(key: string, each: (watch: Watch, teller: Teller) => void): void {
    const same = this.#keys.get(key)
    if (same !== undefined) for (const [watch, teller] of same) each(watch, teller)
    for (const [watch, teller] of this.#ranges) if (isWithin(key, watch.range)) each(watch, teller)
  }
}
