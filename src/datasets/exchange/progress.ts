import { progressIntervalMs } from '../../base/limits.ts'

/** How far one transfer has come. */
export interface TransferProgress {
  /** `checking` begins when all bytes are here. */
  readonly phase: 'receiving' | 'checking'
  /** Of the pack, received so far. */
  readonly bytes: number
  /** Objects that the pack announces. */
  readonly objectsTotal?: number
}

/**
 * Tells the newest of what it is offered, at most once in an interval, and nothing of a transfer that is over within
 * the first: nobody could read it.
 */
export class ProgressTeller {
  readonly #tell: (progress: TransferProgress) => void
  readonly #intervalMs: number
  #newest: TransferProgress | undefined
  readonly #timer: NodeJS.Timeout

  constructor(tell: (progress: TransferProgress) => void, intervalMs: number = progressIntervalMs) {
    this.#tell = tell
    this.#intervalMs = intervalMs
    this.#timer = setInterval(() => this.#due(), this.#intervalMs)
    this.#timer.unref()
  }

  offer(progress: TransferProgress): void {
    this.#newest = progress
  }

  end(): void {
    clearInterval(this.#timer)
  }

  #due(): void {
    const newest = this.#newest
    this.#newest = undefined
    if (newest !== undefined) this.#tell(newest)
  }
}
