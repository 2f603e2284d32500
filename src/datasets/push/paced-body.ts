import { NodeError } from '../../base/errors.ts'

/** A body whose sender has to go on sending, and that says afterwards whether it came whole. */
export class PacedBody implements AsyncIterable<Uint8Array> {
  readonly #body: AsyncIterable<Uint8Array>
  readonly #idleMaxMs: number
  readonly #signal: AbortSignal
  #isCut = false

  /** @param idleMaxMs how long may pass without a byte. @param signal ends the reading. */
  constructor(body: AsyncIterable<Uint8Array>, idleMaxMs: number, signal: AbortSignal) {
    this.#body = body
    this.#idleMaxMs = idleMaxMs
    this.#signal = signal
  }

  /** Whether the sender has gone, or gone silent, before its end. */
  get isCut(): boolean {
    return this.#isCut
  }

  /** Leaving it early leaves the rest where it is. @throws NodeError TIMED_OUT, or what cut the body. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const source = this.#body[Symbol.asyncIterator]()
    return {
      next: async () => {
        try {
          return await this.#next(source)
        } catch (error) {
          this.#isCut = true
          throw error
        }
      },
    }
  }

  #next(source: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    const signal = this.#signal
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      // Whatever ends the wait first ends it wholly: a source that never answers would keep the timer.
      const settle = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', ended)
      }
      const idle = () => {
        settle()
        reject(
          new NodeError('TIMED_OUT', `Nothing came for ${this.#idleMaxMs} ms; the rest is not waited for`),
        )
      }
      const ended = () => {
        settle()
        reject(signal.reason)
      }
      const timer = setTimeout(idle, this.#idleMaxMs)
      signal.addEventListener('abort', ended, { once: true })
      source.next().then(resolve, reject).finally(settle)
    })
  }
}
