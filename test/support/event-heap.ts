interface Event {
  readonly atMs: number
  /** Of two at one time the one that was put in first comes first. */
  readonly order: number
  readonly run: () => Promise<void> | void
}

/** What is to happen in a simulation, the next one first (a binary heap). */
export class EventHeap {
  readonly #events: Event[] = []
  #order = 0

  push(atMs: number, run: Event['run']): void {
    this.#order += 1
    const event = { atMs, order: this.#order, run }
    let at = this.#events.length
    this.#events.push(event)
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!isBefore(event, this.#events[above] as Event)) break
      this.#events[at] = this.#events[above] as Event
      at = above
    }
    this.#events[at] = event
  }

  /** The next event, unless it is after `endMs`. */
  popUntil(endMs: number): Event | undefined {
    const [next] = this.#events
    if (next === undefined || next.atMs > endMs) return undefined
    const last = this.#events.pop() as Event
    if (this.#events.length > 0) this.#sink(last)
    return next
  }

  #sink(event: Event): void {
    const events = this.#events
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= events.length) break
      if (below + 1 < events.length && isBefore(events[below + 1] as Event, events[below] as Event))
        below += 1
      if (!isBefore(events[below] as Event, event)) break
      events[at] = events[below] as Event
      at = below
    }
    events[at] = event
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
