import { listingLifeMs } from '../../src/base/limits.ts'
import { seal } from '../../src/identity/envelope.ts'
import type { Identity } from '../../src/identity/node-key.ts'
import { encodeListing, hashOf, type Listing, type SealedListing } from '../../src/marketplace/listing.ts'

/** A listing as the pure functions see it, without a signature: `author` is any text. */
export function plainListing(fields: Partial<Listing> & { heardMs?: number } = {}): SealedListing {
  const { heardMs = 1_000, ...said } = fields
  const time = fields.time ?? 1_000
  const listing: Listing = {
    kind: 'tool',
    name: 'collect',
    description: '',
    author: 'amy',
    version: 1,
    time,
    expires: time + listingLifeMs,
    body: { image: 'collect:1' },
    ...said,
  }
  return { ...listing, heardMs, hash: hashOf(encodeListing(listing)), envelope: new Uint8Array() }
}

/** A listing sealed by `identity`, as of now; `fields` replaces what it would say. */
export async function sealListing(identity: Identity, fields: Partial<Listing> = {}): Promise<SealedListing> {
  const time = fields.time ?? Date.now()
  const listing = plainListing({ author: identity.peerId, version: time, ...fields, time })
  return { ...listing, envelope: await seal('listing', encodeListing(listing), identity) }
}
