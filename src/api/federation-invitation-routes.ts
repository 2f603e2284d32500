import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { DAY_MS, invitationLifeMaxMs, invitationNoteLengthMax, MINUTE_MS } from '../base/limits.ts'
import { ROLES } from '../federation/keyspace.ts'
import type { ApiNode } from './api-node.ts'
import { invitationSchema, issuedSchema } from './federation-views.ts'
import { body, isDone, makes, newRoutes, tells, withoutUndefined } from './routing.ts'

const LIFE_RULE = `an invitation is good for a minute to ${invitationLifeMaxMs / DAY_MS} days`

const invite = createRoute({
  method: 'post',
  path: '/federation/invitations',
  summary: 'Make a token with which one node may join once',
  request: {
    body: body(
      z.strictObject({
        lifeMs: z
          .int()
          .min(MINUTE_MS, LIFE_RULE)
          .max(invitationLifeMaxMs, LIFE_RULE)
          .optional()
          .describe('until it expires'),
        role: z.enum(ROLES).optional().describe('what the newcomer may do; without a word a member'),
        until: z.int().optional().describe('when its membership ends by itself, ms since 1970'),
        note: z.string().max(invitationNoteLengthMax).optional().describe('for whom it is'),
      }),
    ),
  },
  responses: makes(invitationSchema, 'The invitation; its token is told only here'),
})

const list = createRoute({
  method: 'get',
  path: '/federation/invitations',
  summary: 'The invitations that this node has issued',
  responses: tells(z.array(issuedSchema), 'The one that expires first at the top'),
})

const revoke = createRoute({
  method: 'delete',
  path: '/federation/invitations/{id}',
  summary: 'Make an invitation void that nobody has used yet',
  request: { params: z.object({ id: z.string().min(1).max(64) }) },
  responses: isDone('It is void'),
})

export function invitationRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(invite, async (c) => {
    return c.json(await node.invite(withoutUndefined(c.req.valid('json'))), 201)
  })
  routes.openapi(list, async (c) => {
    const { members, membership } = node.federation
    const issued = await membership.invitations.list()
    const views = issued.map(({ usedBy, ...rest }) => {
      return usedBy === undefined ? rest : { ...rest, usedBy: members.get(usedBy)?.name ?? usedBy }
    })
    return c.json(views, 200)
  })
  routes.openapi(revoke, async (c) => {
    await node.federation.membership.invitations.revoke(c.req.valid('param').id)
    return c.body(null, 204)
  })
  return routes
}
