import { isNodeError, messageOf } from '../base/errors.ts'
import { fetchRetryFirstMs, fetchRetryLongestMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { retryPauseMs } from './heads.ts'

export interface LateAnnouncementsParts {
  /** Announces what has moved and was not announced. */
  readonly announce: (dataset: string) => Promise<void>
  readonly log: Logger
}

interface Late {
  failures: number
  timer: NodeJS.Timeout | undefined
}

/**
 * What has moved here and could not be announced, for a full disk for example: it is tried again, later and later, until
 * it is done, since whoever moved it was told of a failure and everybody else of nothing.
 */
export class LateAnnouncements {
  readonly #parts: LateAnnouncementsParts
  readonly #late = new Map<string, Late>()
  #ended = false

  constructor(parts: LateAnnouncementsParts) {
    this.#parts = parts
  }

  add(dataset: string): void {
    const late = this.#late.get(dataset) ?? { failures: 0, timer: undefined }
    if (this.#ended || late.timer !== undefined) return
    this.#late.set(dataset, late)
    late.failures += 1
    const pauseMs = retryPauseMs(late.failures, fetchRetryFirstMs, fetchRetryLongestMs)
    late.timer = setTimeout(() => {
      late.timer = undefined
      this.#parts.announce(dataset).then(
        () => {
          if (late.timer === undefined) this.#late.delete(dataset)
        },
        (error: unknown) => this.#failed(dataset, error),
      )
    }, pauseMs)
    late.timer.unref()
  }

  stop(): void {
    this.#ended = true
    for (const { timer } of this.#late.values()) clearTimeout(timer)
    this.#late.clear()
  }

  #failed(dataset: string, error: unknown): void {
    if (this.#ended) return
    this.#parts.log.warn({ dataset, error: messageOf(error) }, 'what has moved is not announced yet')
    // What does not fit now does not fit later either.
    if (!isNodeError(error, 'INVALID_INPUT')) this.add(dataset)
    else this.#late.delete(dataset)
  }
}
