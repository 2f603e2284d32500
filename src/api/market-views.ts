import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import { type HeldListing, LISTING_KINDS } from '../marketplace/listing.ts'
import type { ApiNode } from './api-node.ts'

/** What the API says of the marketplace, which is there on every node, in a federation or not. */
const timeMs = z.int().describe('milliseconds since 1970')

export const listingKindSchema = z.enum(LISTING_KINDS)

export const standingSchema = z
  .enum(['own', 'member', 'stranger'])
  .describe('whether this node listed it, a member of its federation, or somebody else')

export const listingSchema = z
  .object({
    kind: listingKindSchema,
    name: nameSchema,
    description: z.string(),
    author: z.string().describe('peer id of who sealed it'),
    own: z.boolean().describe('whether this node listed it'),
    standing: standingSchema,
    member: z.string().optional().describe('name of the author, where it is a member'),
    heardMs: timeMs.describe('since when this node knows the listing'),
    renewedMs: timeMs,
    expiresMs: timeMs,
    founder: z
      .string()
      .optional()
      .describe('peer id of who founded the federation, where the listing proves it by the genesis'),
    body: z.record(z.string(), z.unknown()).describe('what is offered; the fields depend on the kind'),
  })
  .meta({ id: 'Listing', description: 'an advertisement: it proves who wrote it, and nothing else' })

export type ListingView = z.output<typeof listingSchema>

export function listingView(node: ApiNode, listing: HeldListing): ListingView {
  const { kind, name, description, author, heardMs, time: renewedMs, expires: expiresMs, founder } = listing
  const standing = node.marketplace.standingOf(author)
  const member = standing === 'member' ? node.federation.members.get(author)?.name : undefined
  return {
    ...{ kind, name, description, author, own: standing === 'own', standing },
    ...(member === undefined ? {} : { member }),
    ...{ heardMs, renewedMs, expiresMs },
    ...(founder === undefined ? {} : { founder }),
    body: listing.body ?? {},
  }
}
