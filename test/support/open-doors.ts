import type { AppParts } from '../../src/api/app.ts'
import type { Happening } from '../../src/api/events.ts'
import { RateLimits } from '../../src/api/rate-limits.ts'
import { nodeProof } from '../../src/identity/access-token.ts'

/** Doors of an app without a data directory: one token that opens everything, and limits that nobody reaches. */
export function openDoors(token: string): { tokens: AppParts<Happening>['tokens']; limits: RateLimits } {
  const owner = { id: 'owner', name: 'owner', scope: 'admin' } as const
  return {
    tokens: {
      check: (presented) => (presented === token ? owner : undefined),
      prove: (challenge, host) => nodeProof(token, challenge, host),
    },
    limits: new RateLimits({ perToken: 1_000, perAddress: 1_000 }),
  }
}
