import { requestPaceMs, requestsPerHourMax, requestsPerSourceMax } from '../base/limits.ts'
import { networkOf } from '../base/networks.ts'

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

/** Where a connection comes from, whatever its port: an address of IPv4, a network of 64 bits of IPv6. Pure. */
export function sourceOf(address: string | undefined): string {
  return networkOf(/^\/[^/]+\/([^/]+)/.exec(address ?? '')?.[1])
}

/** An open request that this node keeps, and where it came from. */
export interface Kept {
  readonly peer: string
  readonly source: string
  readonly askedMs: number
}

/**
 * [J9] Which request gives way to one from `source` when the federation's book is full: the oldest of the source that has
 * most, as long as `source` will not have as many itself. Pure.
 *
 * @returns a peer id; undefined when none is to go.
 */
export function toGiveWay(kept: readonly Kept[], source: string): string | undefined {
  const bySource = Map.groupBy(kept, (one) => one.source)
  const [most = []] = [...bySource.values()].sort((a, b) => b.length - a.length)
  if (most.length <= (bySource.get(source)?.length ?? 0) + 1) return undefined
  return most.toSorted((a, b) => a.askedMs - b.askedMs)[0]?.peer
}
