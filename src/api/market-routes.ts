import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { nameSchema } from '../base/names.ts'
import { withinBounds } from '../marketplace/choosing.ts'
import { descriptionOfOffer, type HeldListing, offerSchema } from '../marketplace/listing.ts'
import type { ApiNode } from './api-node.ts'
import { offerOfFederation } from './market-offers.ts'
import { listingKindSchema, listingSchema, listingView } from './market-views.ts'
import { body, isDone, makes, newRoutes, tells } from './routing.ts'

const LISTINGS_TOLD_DEFAULT = 200
const LISTINGS_TOLD_MAX = 10_000

const authorSchema = z.string().min(1).max(100).describe('peer id')
const place = z.object({ kind: listingKindSchema, name: nameSchema })

const list = createRoute({
  method: 'get',
  path: '/market',
  summary: 'What nodes anywhere offer, as far as this one has heard',
  request: {
    query: z.strictObject({
      kind: listingKindSchema.optional(),
      name: nameSchema.optional(),
      author: authorSchema.optional(),
      text: z.string().max(500).optional().describe('every word of it occurs in the listing'),
      limit: z.coerce.number().int().min(1).max(LISTINGS_TOLD_MAX).default(LISTINGS_TOLD_DEFAULT),
    }),
  },
  responses: tells(
    z.array(listingSchema),
    'Sorted by kind, name and author; beyond the limit those that this node knows least are left out',
  ),
})

const show = createRoute({
  method: 'get',
  path: '/market/{kind}/{name}',
  summary: 'One listing',
  request: {
    params: place,
    query: z.strictObject({ author: authorSchema.optional().describe('where several use the name') }),
  },
  responses: tells(listingSchema, 'The listing'),
})

const publishSchema = z.strictObject({
  kind: listingKindSchema,
  name: nameSchema,
  description: descriptionOfOffer.optional(),
  body: offerSchema.shape.body
    .unwrap()
    .optional()
    .describe('what is offered; without it, what the federation has under the name'),
  contacts: z.array(z.string()).optional().describe('for a federation: whom to write to'),
})

const publish = createRoute({
  method: 'post',
  path: '/market',
  summary: 'List something for everybody, or list it anew with other words',
  request: { body: body(publishSchema) },
  responses: makes(listingSchema, 'The listing'),
})

const withdraw = createRoute({
  method: 'delete',
  path: '/market/{kind}/{name}',
  summary: 'Take back a listing of this node, everywhere',
  request: { params: place },
  responses: isDone('It is withdrawn'),
})

export function marketRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  const view = (listing: HeldListing) => listingView(node, listing)
  routes.openapi(list, (c) => {
    const { limit, ...wanted } = c.req.valid('query')
    const { marketplace } = node
    const told = withinBounds(marketplace.list(wanted), marketplace.standingOf, limit)
    return c.json(told.map(view), 200)
  })
  routes.openapi(show, (c) => {
    const { kind, name } = c.req.valid('param')
    return c.json(view(node.marketplace.show(kind, name, c.req.valid('query').author)), 200)
  })
  routes.openapi(publish, async (c) => {
    const { kind, name, contacts, ...said } = c.req.valid('json')
    if (contacts !== undefined && kind !== 'federation') {
      throw new NodeError('INVALID_INPUT', `A ${kind} has no contacts; they are for federations`)
    }
    const found =
      said.body === undefined
        ? await offerOfFederation(node, kind, name)
        : { description: '', body: said.body }
    const description = said.description ?? found.description
    const offered = contacts === undefined ? found.body : { ...found.body, contacts }
    return c.json(view(await node.marketplace.publish({ kind, name, description, body: offered })), 201)
  })
  routes.openapi(withdraw, async (c) => {
    const { kind, name } = c.req.valid('param')
    await node.marketplace.withdraw(kind, name)
    return c.body(null, 204)
  })
  return routes
}
