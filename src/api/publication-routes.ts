import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import type { ApiNode } from './api-node.ts'
import { publicationSchema, publisherKeySchema, publisherSchema } from './publication-views.ts'
import { body, isDone, newRoutes, tells } from './routing.ts'

const KEY_CHARACTERS_MAX = 4_096

const publishers = createRoute({
  method: 'get',
  path: '/publishers',
  summary: 'Where this node can publish outputs',
  responses: tells(z.array(publisherSchema), 'By name, as the settings have them'),
})

const key = createRoute({
  method: 'put',
  path: '/publishers/keys/{variable}',
  summary: 'Seal a key that the settings of a publisher name',
  request: {
    params: z.object({ variable: z.string().max(200) }),
    body: body(z.strictObject({ value: z.string().min(1).max(KEY_CHARACTERS_MAX) })),
  },
  responses: tells(publisherKeySchema, 'It is sealed; it cannot be read again'),
})

const list = createRoute({
  method: 'get',
  path: '/publications',
  summary: 'What this node has published, and what it has removed again',
  request: {
    query: z.strictObject({
      run: z.string().max(100).optional(),
      publisher: z.string().max(100).optional(),
      state: z.enum(['writing', 'published', 'removing', 'removed']).optional(),
    }),
  },
  responses: tells(z.array(publicationSchema), 'Newest first'),
})

const remove = createRoute({
  method: 'delete',
  path: '/publications/{id}',
  summary: 'Remove a publication from where it was published',
  request: { params: z.object({ id: z.string().min(1).max(300) }) },
  responses: isDone('It is gone; what others have put beside it is left'),
})

/** Publishers of this node and what they have. */
export function publicationRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  const publishing = () => node.federation.execution.publishers
  routes.openapi(publishers, (c) => c.json(publishing().list(), 200))
  routes.openapi(key, async (c) => {
    const { variable } = c.req.valid('param')
    await publishing().setKey(variable, c.req.valid('json').value)
    return c.json({ variable }, 200)
  })
  routes.openapi(list, (c) => {
    const { run, publisher, state } = c.req.valid('query')
    const found = publishing()
      .publications()
      .filter((each) => run === undefined || each.run === run)
      .filter((each) => publisher === undefined || each.publisher === publisher)
      .filter((each) => state === undefined || each.state === state)
    return c.json(
      found.toReversed().map((each) => publicationSchema.parse(each)),
      200,
    )
  })
  routes.openapi(remove, async (c) => {
    await publishing().remove(c.req.valid('param').id)
    return c.body(null, 204)
  })
  return routes
}
