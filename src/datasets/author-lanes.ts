import { failingHeadsMin, fetchesPerAuthorMax, followedHeadsMax } from '../base/limits.ts'
import { Semaphore } from '../base/semaphore.ts'

export interface LaneLimits {
  readonly atOnceMax: number
  readonly failingMin: number
}

/**
 * The heads of each author in a lane of their own: whoever announces hundreds, true or not, waits for itself and not
 * others for it.
 */
export class AuthorLanes {
  readonly #limits: LaneLimits
  readonly #lanes = new Map<string, { readonly places: Semaphore; users: number }>()
  /** By author, the heads that have failed and not come since. */
  readonly #failing = new Map<string, Set<string>>()

  constructor(limits: LaneLimits = { atOnceMax: fetchesPerAuthorMax, failingMin: failingHeadsMin }) {
    this.#limits = limits
  }

  /** Runs a task for a head of `author` when its turn comes. */
  async run(author: string, task: () => Promise<void>): Promise<void> {
    const lane = this.#lanes.get(author) ?? {
      places: new Semaphore(this.#limits.atOnceMax, followedHeadsMax),
      users: 0,
    }
    this.#lanes.set(author, lane)
    lane.users += 1
    try {
      await lane.places.run(task)
    } finally {
      lane.users -= 1
      if (lane.users === 0) this.#lanes.delete(author)
    }
  }

  /** @returns how many times longer than otherwise the pauses of the author's heads are, so that all together they are not tried more often than a few. */
  failed(author: string, head: string): number {
    const heads = this.#failing.get(author) ?? new Set()
    this.#failing.set(author, heads.add(head))
    return Math.max(1, heads.size / this.#limits.failingMin)
  }

  /** A head is here, or nobody follows it any more. */
  ended(author: string, head: string): void {
    const heads = this.#failing.get(author)
    heads?.delete(head)
    if (heads?.size === 0) this.#failing.delete(author)
  }

  clear(): void {
    this.#failing.clear()
  }
}
