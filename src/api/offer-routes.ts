import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { environmentSchema } from '../execution/remote/offer.ts'
import { placementOf } from '../execution/remote/placement.ts'
import { parseWhere } from '../execution/remote/where.ts'
import type { ApiNode } from './api-node.ts'
import { newRoutes, tells } from './routing.ts'

export const offerSchema = z
  .object({
    peer: z.string(),
    member: z.string(),
    online: z.boolean(),
    accepts: z.enum(['none', 'operators', 'members']).describe('whose runs the member takes'),
    timeMs: z.int().describe('when it said so'),
    environments: z.array(environmentSchema),
    fits: z.boolean().describe('whether a run of this node may be asked of it, as far as the offer says'),
    why: z.string().optional().describe('why not'),
  })
  .meta({ id: 'Offer', description: 'what a member offers to the runs of others' })
export type OfferView = z.output<typeof offerSchema>

const list = createRoute({
  method: 'get',
  path: '/offers',
  summary: 'What the other members offer to runs of this node',
  request: {
    query: z.strictObject({
      where: z
        .string()
        .optional()
        .describe('only those that satisfy it, such as memory>=8 && dataset=x && label.site=zurich'),
    }),
  },
  responses: tells(z.array(offerSchema), 'One for each member that offers something'),
})

export function offerRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(list, (c) => {
    const { where } = c.req.valid('query')
    const { remote, members } = node.federation
    const candidates = remote.candidates()
    const isOperator = members.get(node.peerId)?.role === 'operator'
    const asked = where === undefined ? {} : { where: parseWhere(where) }
    const placement = placementOf({ request: 'list', asked, candidates, reads: [], isOperator })
    const fitting = new Set(placement.places.map(({ peer }) => peer))
    const offers = candidates.flatMap(({ peer, name: member, online, offer }): OfferView[] => {
      if (offer === undefined || (where !== undefined && !fitting.has(peer))) return []
      const why = placement.refusals.find((refusal) => refusal.peer === peer)?.reason
      const fits = fitting.has(peer)
      return [{ peer, member, online, ...offer, fits, ...(why === undefined ? {} : { why }) }]
    })
    return c.json(offers, 200)
  })
  return routes
}
