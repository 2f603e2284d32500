import { requestPaceMs, requestsPerHourMax, requestsPerSourceMax } from '../base/limits.ts'

/**
 * How many requests one node takes from strangers: so many an hour from one address and so many from all, since
 * identities cost nothing. Pure but for what it remembers.
 */
export class RequestPace {
  readonly #taken: { atMs: number; source: string }[] = []

  /** True when one more from `source` may be taken at `nowMs`; it then counts. */
  take(source: string, nowMs: number): boolean {
    while (this.#taken[0] !== undefined && this.#taken[0].atMs + requestPaceMs <= nowMs) this.#taken.shift()
    if (this.#taken.length >= requestsPerHourMax) return false
    if (this.#taken.filter((one) => one.source === source).length >= requestsPerSourceMax) return false
    this.#taken.push({ atMs: nowMs, source })
    return true
  }
}

/** The host of a multiaddress; connections of one host share a pace, whatever their ports. Pure. */
export function sourceOf(address: string | undefined): string {
  return /^\/[^/]+\/([^/]+)/.exec(address ?? '')?.[1] ?? 'unknown'
}
