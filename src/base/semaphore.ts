import { NodeError } from './errors.ts'

/** At most `permits` tasks at once, at most `waitingMax` waiting behind them. */
export class Semaphore {
  #free: number
  readonly #waitingMax: number
  readonly #waiting: (() => void)[] = []

  constructor(permits: number, waitingMax: number) {
    this.#free = permits
    this.#waitingMax = waitingMax
  }

  /** @throws NodeError QUEUE_FULL when `waitingMax` callers already wait. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    await this.#acquire()
    try {
      return await task()
    } finally {
      this.#release()
    }
  }

  async #acquire(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    if (this.#waiting.length >= this.#waitingMax) {
      throw new NodeError('QUEUE_FULL', `${this.#waitingMax} tasks wait already; try again later`)
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #release(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free += 1
    else next()
  }
}
