import { NodeError } from '../../base/errors.ts'
import { fetchesMax, fetchesPerMemberMax, followedHeadsMax } from '../../base/limits.ts'

export interface Turn {
  /** Who may be asked now. */
  readonly peer: string
  /** Gives the place back; further calls do nothing. */
  release(): void
}

interface Waiter {
  readonly peers: readonly string[]
  readonly enter: (peer: string) => void
}

export interface TurnLimits {
  readonly atOnceMax: number
  readonly perMemberMax: number
  readonly waitingMax: number
}

const LIMITS: TurnLimits = {
  atOnceMax: fetchesMax,
  perMemberMax: fetchesPerMemberMax,
  waitingMax: followedHeadsMax,
}

/**
 * Who is asked when: so many fetches at once, and so many of them from one member, so that no member which dawdles holds
 * every place, and nobody waits for a busy one while another could be asked.
 */
export class FetchTurns {
  readonly #limits: TurnLimits
  readonly #taken = new Map<string, number>()
  readonly #waiting = new Set<Waiter>()
  #all = 0

  constructor(limits: TurnLimits = LIMITS) {
    this.#limits = limits
  }

  /**
   * A place with the first of `peers` that has one free, now or as soon as there is.
   *
   * @throws NodeError QUEUE_FULL when too many wait already, and the reason of a signal that aborts.
   */
  async take(peers: readonly string[], signal: AbortSignal): Promise<Turn> {
    signal.throwIfAborted()
    const free = this.#freeOf(peers)
    if (free !== undefined) return this.#enter(free)
    const { waitingMax } = this.#limits
    if (this.#waiting.size >= waitingMax) {
      throw new NodeError('QUEUE_FULL', `${waitingMax} fetches wait already; try again later`)
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiter)
        signal.removeEventListener('abort', cancel)
      }
      const cancel = () => {
        leave()
        reject(signal.reason)
      }
      const waiter: Waiter = {
        peers,
        enter: (peer) => {
          leave()
          resolve(this.#enter(peer))
        },
      }
      this.#waiting.add(waiter)
      signal.addEventListener('abort', cancel, { once: true })
    })
  }

  #freeOf(peers: readonly string[]): string | undefined {
    if (this.#all >= this.#limits.atOnceMax) return undefined
    return peers.find((peer) => (this.#taken.get(peer) ?? 0) < this.#limits.perMemberMax)
  }

  #enter(peer: string): Turn {
    this.#all += 1
    this.#taken.set(peer, (this.#taken.get(peer) ?? 0) + 1)
    let held = true
    const release = () => {
      if (!held) return
      held = false
      this.#leave(peer)
    }
    return { peer, release }
  }

  #leave(peer: string): void {
    this.#all -= 1
    const left = (this.#taken.get(peer) ?? 1) - 1
    if (left > 0) this.#taken.set(peer, left)
    else this.#taken.delete(peer)
    for (const waiter of this.#waiting) {
      const free = this.#freeOf(waiter.peers)
      if (free === undefined) continue
      waiter.enter(free)
      return
    }
  }
}
