import { messageOf } from '../../base/errors.ts'
import { recordAgainMaxMs, recordAgainMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { delay } from '../../base/wait.ts'

/** How a run broke off. */
export interface Break {
  readonly why: string
  /** Whether somebody wished it to end. */
  readonly cancelled: boolean
}

export interface BrokenRunsParts {
  /** Writes down how the run stands. @throws while that cannot be written. */
  readonly mend: (id: string, found: Break) => Promise<void>
  readonly onMended: () => void
  readonly log: Logger
}

/**
 * Runs whose record could not be written, mostly since the disk was full. Nothing works on them any more, and nobody is
 * told so, until a write succeeds again: it is tried with longer and longer rests for as long as the node runs, since
 * whoever waits for the end of such a run would wait for ever.
 */
export class BrokenRuns {
  readonly #parts: BrokenRunsParts
  readonly #found = new Map<string, { readonly why: string; readonly mended: Promise<void> }>()
  #stopping = new AbortController()

  constructor(parts: BrokenRunsParts) {
    this.#parts = parts
  }

  has(id: string): boolean {
    return this.#found.has(id)
  }

  /** Why the run broke off; undefined when it did not. */
  whyOf(id: string): string | undefined {
    return this.#found.get(id)?.why
  }

  add(id: string, found: Break): void {
    this.#parts.log.error({ run: id, error: found.why }, 'a run broke off')
    this.#found.set(id, { why: found.why, mended: this.#mend(id, found, this.#stopping.signal) })
  }

  /** What is not mended by then is seen to by the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await Promise.all([...this.#found.values()].map(({ mended }) => mended))
    this.#found.clear()
    this.#stopping = new AbortController()
  }

  async #mend(id: string, found: Break, stopping: AbortSignal): Promise<void> {
    for (let restMs = recordAgainMs; ; restMs = Math.min(2 * restMs, recordAgainMaxMs)) {
      await delay(restMs, stopping).catch(() => undefined)
      if (stopping.aborted) return
      try {
        await this.#parts.mend(id, found)
        break
      } catch (error) {
        this.#parts.log.warn({ run: id, error: messageOf(error) }, 'the record of a run is still not written')
      }
    }
    this.#found.delete(id)
    this.#parts.onMended()
  }
}
