export interface Turn {
  /** Which of the places was free, from 0; no two turns at the same time have the same. */
  readonly lane: number
  othersWait(): boolean
}

interface Waiting {
  readonly begin: (lane: number) => void
}

/** [S13] A few at a time, first come first served; who waits can be cut short. */
export class SyncTurns {
  readonly #free: number[]
  readonly #waiting = new Set<Waiting>()

  constructor(places: number) {
    this.#free = Array.from({ length: places }, (_, lane) => lane)
  }

  /** @throws the signal's reason when it aborts before the turn begins. */
  async take<T>(signal: AbortSignal, work: (turn: Turn) => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    const lane = this.#free.shift() ?? (await this.#wait(signal))
    try {
      return await work({ lane, othersWait: () => this.#waiting.size > 0 })
    } finally {
      const [next] = this.#waiting
      if (next === undefined) this.#free.unshift(lane)
      else next.begin(lane)
    }
  }

  #wait(signal: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      const cut = () => {
        this.#waiting.delete(waiting)
        reject(signal.reason)
      }
      const waiting: Waiting = {
        begin: (lane) => {
          this.#waiting.delete(waiting)
          signal.removeEventListener('abort', cut)
          resolve(lane)
        },
      }
      signal.addEventListener('abort', cut, { once: true })
      this.#waiting.add(waiting)
    })
  }
}
