import type { AuthParts } from '../../src/api/auth.ts'
import { RateLimits } from '../../src/api/rate-limits.ts'

/** Doors of an app without a data directory: one token that opens everything, and limits that nobody reaches. */
export function openDoors(token: string): { tokens: AuthParts['tokens']; limits: RateLimits } {
  const owner = { id: 'owner', name: 'owner', scope: 'admin' } as const
  return {
    tokens: { check: (presented) => (presented === token ? owner : undefined) },
    limits: new RateLimits({ perToken: 1_000, perAddress: 1_000 }),
  }
}
