import { NodeError } from '../base/errors.ts'
import { flushWorksMax, storeQueueMax } from '../base/limits.ts'

interface Waiting<T, R> {
  readonly item: T
  readonly resolve: (result: R) => void
  readonly reject: (error: unknown) => void
}

/**
 * Group commit: what arrives while one write is on its way to the disk goes out together in the next. `flush` gets the
 * items in order of arrival and returns one result each; when it throws, all of that flush fail.
 */
export class CommitQueue<T, R> {
  readonly #flush: (items: readonly T[]) => Promise<readonly R[]>
  #waiting: Waiting<T, R>[] = []
  #running: Promise<void> | undefined

  constructor(flush: (items: readonly T[]) => Promise<readonly R[]>) {
    this.#flush = flush
  }

  /** @throws NodeError QUEUE_FULL when the disk is far behind. */
  add(item: T): Promise<R> {
    if (this.#waiting.length >= storeQueueMax) {
      return Promise.reject(new NodeError('QUEUE_FULL', 'The disk is too far behind; try again later'))
    }
    return new Promise<R>((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    // Lets everything that arrives in this turn of the event loop into the first flush.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, flushWorksMax)
      try {
        const results = await this.#flush(batch.map((waiting) => waiting.item))
        for (const [index, waiting] of batch.entries()) waiting.resolve(results[index] as R)
      } catch (error) {
        for (const waiting of batch) waiting.reject(error)
      }
    }
    this.#running = undefined
  }
}
