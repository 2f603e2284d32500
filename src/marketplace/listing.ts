/**
 * A listing (protocols/marketplace.md §3): what its author offers to anybody, in a federation or not. It is sealed by
 * its author, so whoever passes it on can neither change nor invent it; whether the offer is any good, it cannot say.
 */
import { createHash } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { listingContactsMax, listingGenesisCharactersMax, listingLifeMs } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import { pipelineSchema } from '../execution/catalogue/pipeline.ts'
import { toolSchema } from '../execution/catalogue/tool.ts'
import { JOINING } from '../federation/federation-policy.ts'

export const LISTING_KINDS = ['federation', 'tool', 'pipeline', 'dataset'] as const
export type ListingKind = (typeof LISTING_KINDS)[number]

const line = z.string().trim().min(1).max(500)

/** Ends in the peer id of who answers there: whoever dials it finds that peer or nobody (protocols/marketplace.md §3). */
const address = line.regex(
  /^\/(?:ip4|ip6|dns|dns4|dns6|dnsaddr)\/[^\s]+\/p2p\/[1-9A-HJ-NP-Za-km-z]{32,64}$/,
  'an address is written like /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW…',
)

/** How to get in touch with a federation: its id, people, and the addresses of nodes that answer requests. */
const federationBody = z.looseObject({
  federation: line.optional(),
  contacts: z.array(line).max(listingContactsMax).default([]),
  addresses: z.array(address).max(listingContactsMax).default([]),
  join: z.enum(JOINING).default('invitation'),
  /** The sealed genesis in base64, which proves that the id and the name are the founder's. */
  genesis: z.base64().max(listingGenesisCharactersMax).optional(),
})

/** What a dataset is, and whence it can be had. */
const datasetBody = z.looseObject({
  federation: line.optional(),
  /** Its id there, which tells datasets of one name apart. */
  dataset: line.optional(),
  policy: z.enum(['shared', 'compute-only']).optional(),
  upstream: line.optional(),
  branch: line.optional(),
  bytes: z.int().nonnegative().optional(),
  files: z.int().nonnegative().optional(),
})

/** What each kind says of itself. Fields that a later version adds are kept. */
export const BODIES = {
  federation: federationBody,
  tool: z.looseObject(toolSchema.omit({ description: true }).shape),
  pipeline: z.looseObject(pipelineSchema.omit({ description: true }).shape),
  dataset: datasetBody,
} as const satisfies Record<ListingKind, z.ZodType>

/** What is offered; the shape depends on the kind, see `BODIES`. */
export type ListingBody = { readonly [field: string]: unknown }

export interface Listing {
  readonly kind: ListingKind
  readonly name: string
  readonly description: string
  /** Peer id of who wrote and sealed it. */
  readonly author: string
  /** Grows with each renewal: the author's clock in ms, or one above the version before where that is more. */
  readonly version: number
  /** When it was last renewed, ms since the epoch by the author's clock. */
  readonly time: number
  /** From then on it is forgotten, ms since the epoch. */
  readonly expires: number
  /** Null is a tombstone: the author withdrew the listing. */
  readonly body: ListingBody | null
}

/** A listing as this node holds it. */
export interface HeldListing extends Listing {
  /** Since when this node knows of it, whatever was renewed since; ms since the epoch by its own clock. */
  readonly heardMs: number
  /** Peer id of who founded the federation that is listed, where the listing carries the proof (`provenFounder`). */
  readonly founder?: string
}

/** A listing with what was derived from its bytes once. */
export interface SealedListing extends HeldListing {
  /** SHA-256 of the payload, hex. */
  readonly hash: string
  readonly envelope: Uint8Array
}

export const descriptionOfOffer = z.string().trim().max(2_000)
const time = z.number().int().nonnegative()

/** What a person may offer. */
export const offerSchema = z.strictObject({
  kind: z.enum(LISTING_KINDS),
  name: nameSchema,
  description: descriptionOfOffer.default(''),
  body: z.record(z.string(), z.unknown()).default({}),
})
export type Offer = z.input<typeof offerSchema>

const payloadSchema = z
  .strictObject({
    kind: z.enum(LISTING_KINDS),
    name: nameSchema,
    description: descriptionOfOffer,
    author: z.string().min(1).max(100),
    version: z.number().int().positive(),
    time,
    expires: time,
    body: z.record(z.string(), z.unknown()).nullable(),
  })
  // A longer life would outlive the tombstone that ends it on nodes that keep to the bound.
  .refine((listing) => listing.expires <= listing.time + listingLifeMs, 'lives too long')
  .refine((listing) => listing.body === null || BODIES[listing.kind].safeParse(listing.body).success, {
    error: 'has a body that does not fit its kind',
  })

/**
 * Reads an offer.
 *
 * @throws NodeError INVALID_INPUT whose `data.problems` lists everything that is wrong.
 */
export function parseOffer(offer: unknown): Pick<Listing, 'kind' | 'name' | 'description'> & {
  body: ListingBody
} {
  const parsed = offerSchema.safeParse(offer)
  if (!parsed.success) throw invalid(parsed.error)
  const { kind, name, description } = parsed.data
  const body = BODIES[kind].safeParse(parsed.data.body)
  if (!body.success) throw invalid(body.error)
  // What JSON cannot say, a listing cannot either; and CBOR has no `undefined`.
  return { kind, name, description, body: JSON.parse(JSON.stringify(body.data)) }
}

/** The payload's bytes: DAG-CBOR, of which there is exactly one per listing. */
export function encodeListing(listing: Listing): Uint8Array {
  const { kind, name, description, author, version, time: renewed, expires, body } = listing
  return encode({ kind, name, description, author, version, time: renewed, expires, body })
}

/** @throws Error when the bytes are no DAG-CBOR, or not of a listing's shape. */
export function decodeListing(payload: Uint8Array): Listing {
  return payloadSchema.parse(decode(payload))
}

export function hashOf(payload: Uint8Array): string {
  return createHash('sha256').update(payload).digest('hex')
}

/** Where a listing stands: no author can take the place of another. */
export function placeOf(listing: Pick<Listing, 'kind' | 'name' | 'author'>): string {
  return `${listing.kind} ${listing.name} ${listing.author}`
}

function invalid(error: z.ZodError): NodeError {
  const problems = error.issues.map((issue) => `${issue.path.join('.') || 'listing'}: ${issue.message}`)
  return new NodeError('INVALID_INPUT', `The listing is not valid: ${problems.join('; ')}`, { problems })
}
