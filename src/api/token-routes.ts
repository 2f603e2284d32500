import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { DAY_MS, tokenLifeMaxMs, tokenLifeMinMs } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import { SCOPES } from '../identity/scopes.ts'
import type { ApiNode } from './api-node.ts'
import { body, makes, newRoutes, tells } from './routing.ts'

const timeMs = z.int().describe('milliseconds since 1970')

export const tokenSchema = z
  .object({
    id: z.string(),
    name: nameSchema,
    scope: z.enum(SCOPES).describe('what it opens; each includes those before it'),
    createdMs: timeMs,
    expiresMs: timeMs,
    usedMs: timeMs.optional().describe('when it was last used, to the minute'),
  })
  .meta({ id: 'Token' })
export type TokenView = z.output<typeof tokenSchema>

export const newTokenSchema = tokenSchema
  .extend({ token: z.string().describe('told only here') })
  .meta({ id: 'NewToken' })

const LIFE_RULE = `a token is good for a minute to ${tokenLifeMaxMs / DAY_MS} days`

export const renewedSchema = z.object({ renewed: z.literal(true) })

const list = createRoute({
  method: 'get',
  path: '/tokens',
  summary: "The tokens of this node but its owner's, without what opens",
  responses: tells(z.array(tokenSchema), 'Sorted by name'),
})

const create = createRoute({
  method: 'post',
  path: '/tokens',
  summary: 'Make a token with a scope and an end',
  request: {
    body: body(
      z.strictObject({
        name: nameSchema,
        scope: z.enum(SCOPES),
        lifeMs: z.int().min(tokenLifeMinMs, LIFE_RULE).max(tokenLifeMaxMs, LIFE_RULE).optional(),
      }),
    ),
  },
  responses: makes(newTokenSchema, 'The token'),
})

const revoke = createRoute({
  method: 'delete',
  path: '/tokens/{id}',
  summary: 'End a token, by its id or name',
  request: { params: z.object({ id: z.string().min(1).max(100) }) },
  responses: tells(tokenSchema, 'What it was'),
})

const renew = createRoute({
  method: 'post',
  path: '/tokens/owner/renew',
  summary: 'Put a new token into the data directory; the one before opens nothing any more',
  responses: tells(renewedSchema, 'It stands in api-token'),
})

export function tokenRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(list, (c) => c.json(node.tokens.list(), 200))
  routes.openapi(create, async (c) => {
    const { token, known } = await node.tokens.create(c.req.valid('json'))
    return c.json({ ...known, token }, 201)
  })
  routes.openapi(revoke, async (c) => c.json(await node.tokens.revoke(c.req.valid('param').id), 200))
  routes.openapi(renew, async (c) => {
    await node.tokens.renewOwners()
    return c.json({ renewed: true as const }, 200)
  })
  return routes
}
