/** Where time comes from; tests and simulations bring their own. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }

/** Counts from the start of the process and is never set: for ages and rests. */
export const steadyClock: Clock = { now: () => performance.now() }
