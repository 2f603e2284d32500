import { messageOf } from '../../base/errors.ts'

export interface WakeLoopParts {
  /** Does what is due. @returns how long it may be left alone, ms. */
  readonly look: () => Promise<number>
  /** The longest sleep, and the rest after a look that failed, ms. */
  readonly sleepMaxMs: number
  readonly onError: (message: string) => void
}

/** Looks whenever it is woken and when the time has come that the last look named: one look at a time, none forgotten. */
export class WakeLoop {
  readonly #parts: WakeLoopParts
  #open = false
  #again = false
  #looking: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(parts: WakeLoopParts) {
    this.#parts = parts
  }

  start(): void {
    this.#open = true
    this.wake()
  }

  /** Looks soon; any number of calls during a look make one more. */
  wake(): void {
    if (!this.#open) return
    this.#again = true
    if (this.#looking === undefined) this.#sleep(0)
  }

  async stop(): Promise<void> {
    this.#open = false
    clearTimeout(this.#timer)
    await this.#looking
  }

  #sleep(forMs: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(
      () => {
        this.#looking = this.#look().finally(() => {
          this.#looking = undefined
        })
      },
      Math.min(Math.max(0, forMs), this.#parts.sleepMaxMs),
    )
  }

  async #look(): Promise<void> {
    const { look, sleepMaxMs, onError } = this.#parts
    this.#again = false
    let restMs = sleepMaxMs
    try {
      restMs = await look()
    } catch (error) {
      onError(messageOf(error))
    }
    if (this.#open) this.#sleep(this.#again ? 0 : restMs)
  }
}
