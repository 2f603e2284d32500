import { NodeError } from './errors.ts'

/** Runs tasks one after another in the order of arrival; a failing task fails only its own caller. */
export class SerialQueue {
  readonly #waitingMax: number
  #waiting = 0
  #tail: Promise<unknown> = Promise.resolve()

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax
  }

  get size(): number {
    return this.#waiting
  }

  /** @throws NodeError QUEUE_FULL when `waitingMax` tasks already wait. */
  run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#waiting >= this.#waitingMax) {
      const full = new NodeError('QUEUE_FULL', `${this.#waitingMax} tasks wait already; try again later`)
      return Promise.reject(full)
    }
    this.#waiting += 1
    const result = this.#tail.then(task).finally(() => {
      this.#waiting -= 1
    })
    // The tail only orders the tasks: a failure belongs to the caller that holds `result`.
    this.#tail = result.catch(() => undefined)
    return result
  }

  /** Resolves when all that was queued before the call has ended. */
  async idle(): Promise<void> {
    await this.#tail
  }
}
