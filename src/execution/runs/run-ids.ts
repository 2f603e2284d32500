import { randomBytes } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'

/** Eight digits of base 36 hold milliseconds until the year 2059. */
const TIME_DIGITS = 8
const RANDOM_BYTES = 2

/**
 * Ids of runs, such as `mi8q2w3e-9f3a`: they sort by time also within a millisecond, and two nodes do not meet.
 */
export class RunIds {
  readonly #clock: Clock
  #lastMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ids made from now on sort behind this one, whatever the clock says. */
  follow(id: string): void {
    this.#lastMs = Math.max(this.#lastMs, Number.parseInt(id.slice(0, TIME_DIGITS), 36) || 0)
  }

  next(): string {
    this.#lastMs = Math.max(this.#clock.now(), this.#lastMs + 1)
    const time = this.#lastMs.toString(36).padStart(TIME_DIGITS, '0')
    return `${time}-${randomBytes(RANDOM_BYTES).toString('hex')}`
  }
}
