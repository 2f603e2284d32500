/**
 * How often authors may renew what they list, whoever passes it on. Pure; time is given. Each author has a bucket that
 * holds two rounds of all the listings it may have and refills by two rounds in the time in which an honest author
 * announces at most once.
 */
import { listingAnnounceMinMs, listingAuthorsWatchedMax, listingsPerAuthorMax } from '../base/limits.ts'

const BURST = 2 * listingsPerAuthorMax

interface Bucket {
  tokens: number
  atMs: number
}

export class AuthorPace {
  /** The author that was seen last stands last. */
  readonly #buckets = new Map<string, Bucket>()

  /** Takes one token; false when the author has renewed more than its share. */
  allows(author: string, nowMs: number): boolean {
    const known = this.#buckets.get(author) ?? { tokens: BURST, atMs: nowMs }
    const refill = (Math.max(0, nowMs - known.atMs) / listingAnnounceMinMs) * BURST
    const tokens = Math.min(BURST, known.tokens + refill)
    this.#buckets.delete(author)
    this.#buckets.set(author, { tokens: tokens < 1 ? tokens : tokens - 1, atMs: nowMs })
    if (this.#buckets.size > listingAuthorsWatchedMax) this.#forgetOldest()
    return tokens >= 1
  }

  #forgetOldest(): void {
    const oldest = this.#buckets.keys().next()
    if (oldest.done !== true) this.#buckets.delete(oldest.value)
  }
}
