import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import { LISTING_KINDS } from '../marketplace/listing.ts'

/** What the API says of the marketplace, which is there on every node, in a federation or not. */
const timeMs = z.int().describe('milliseconds since 1970')

export const listingKindSchema = z.enum(LISTING_KINDS)

export const listingSchema = z
  .object({
    kind: listingKindSchema,
    name: nameSchema,
    description: z.string(),
    author: z.string().describe('peer id of who sealed it'),
    own: z.boolean().describe('whether this node listed it'),
    renewedMs: timeMs,
    expiresMs: timeMs,
    body: z.record(z.string(), z.unknown()).describe('what is offered; the fields depend on the kind'),
  })
  .meta({ id: 'Listing', description: 'an advertisement: it proves who wrote it, and nothing else' })

export type ListingView = z.output<typeof listingSchema>
