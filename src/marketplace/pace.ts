/** How often something may happen for each of many peers: a bucket of tokens for each. Pure; time is given. */
import {
  listingAnnounceMinMs,
  listingAuthorsWatchedMax,
  listingsPerAuthorMax,
  MINUTE_MS,
  newAuthorBringersMax,
  newAuthorsBurst,
  newAuthorsPerMinute,
} from '../base/limits.ts'

export interface PaceOptions {
  /** Tokens that a bucket holds; a new one is full. */
  readonly burst: number
  /** Tokens that come back in `refillMs`. */
  readonly refill: number
  readonly refillMs: number
  /** Buckets that are kept; of more, the one that was used longest ago is forgotten. */
  readonly peersMax: number
}

interface Bucket {
  tokens: number
  atMs: number
}

export class Pace {
  readonly #options: PaceOptions
  /** The peer that was seen last stands last. */
  readonly #buckets = new Map<string, Bucket>()

  constructor(options: PaceOptions) {
    this.#options = options
  }

  /** Takes one token; false when the peer has used up its share. */
  allows(peer: string, nowMs: number): boolean {
    const { burst, refill, refillMs, peersMax } = this.#options
    const known = this.#buckets.get(peer) ?? { tokens: burst, atMs: nowMs }
    const back = (Math.max(0, nowMs - known.atMs) / refillMs) * refill
    const tokens = Math.min(burst, known.tokens + back)
    this.#buckets.delete(peer)
    this.#buckets.set(peer, { tokens: tokens < 1 ? tokens : tokens - 1, atMs: nowMs })
    if (this.#buckets.size > peersMax) this.#forgetOldest()
    return tokens >= 1
  }

  #forgetOldest(): void {
    const oldest = this.#buckets.keys().next()
    if (oldest.done !== true) this.#buckets.delete(oldest.value)
  }
}

/**
 * How often authors may renew what they list, whoever passes it on: two rounds of all the listings that one may have, in
 * the time in which an honest author announces at most once.
 */
export function renewals(): Pace {
  const rounds = 2 * listingsPerAuthorMax
  return new Pace({
    burst: rounds,
    refill: rounds,
    refillMs: listingAnnounceMinMs,
    peersMax: listingAuthorsWatchedMax,
  })
}

/** How many authors that nobody here knows a neighbour may bring, so that identities made for it fill nothing quickly. */
export function newcomers(): Pace {
  return new Pace({
    burst: newAuthorsBurst,
    refill: newAuthorsPerMinute,
    refillMs: MINUTE_MS,
    peersMax: newAuthorBringersMax,
  })
}
