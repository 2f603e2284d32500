/**
 * How often who may ask, counted over a window of some seconds: each token on its own, and each address for what is
 * asked without a token or with a wrong one. Behind a proxy all addresses are the proxy's, and the limits of tokens count.
 */
import { getConnInfo } from '@hono/node-server/conninfo'
import type { Context, MiddlewareHandler } from 'hono'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { NodeError } from '../base/errors.ts'
import { rateWindowMs, SECOND_MS } from '../base/limits.ts'
import { networkOf } from '../base/networks.ts'

export interface RateSettings {
  /** Requests a second with one token, averaged over the window. */
  readonly perToken: number
  /** Requests a second from one address without a token that is right. */
  readonly perAddress: number
}

export class RateLimits {
  readonly #tokens: RateLimiterMemory
  readonly #addresses: RateLimiterMemory

  constructor({ perToken, perAddress }: RateSettings) {
    const duration = rateWindowMs / SECOND_MS
    this.#tokens = new RateLimiterMemory({ points: Math.ceil(perToken * duration), duration })
    this.#addresses = new RateLimiterMemory({ points: Math.ceil(perAddress * duration), duration })
  }

  /** @throws NodeError RATE_LIMITED */
  request(tokenId: string): Promise<void> {
    return consume(this.#tokens, tokenId, 'This token asks more often than the node answers')
  }

  /** @throws NodeError RATE_LIMITED */
  failure(c: Context): Promise<void> {
    return consume(this.#addresses, addressOf(c), 'This address asks too often without a token that is right')
  }

  /** For routes that ask for no token. @throws NodeError RATE_LIMITED */
  middleware(): MiddlewareHandler {
    return async (c, next) => {
      await consume(this.#addresses, addressOf(c), 'This address asks more often than the node answers')
      await next()
    }
  }
}

async function consume(limiter: RateLimiterMemory, key: string, sentence: string): Promise<void> {
  try {
    await limiter.consume(key)
  } catch (refused) {
    if (!(refused instanceof RateLimiterRes)) throw refused
    const seconds = Math.max(1, Math.ceil(refused.msBeforeNext / SECOND_MS))
    const message = `${sentence}; wait ${seconds} s, or raise api.rateLimit`
    throw new NodeError('RATE_LIMITED', message, { retryAfterSeconds: seconds })
  }
}

function addressOf(c: Context): string {
  return networkOf('incoming' in (c.env ?? {}) ? getConnInfo(c).remote.address : undefined)
}
