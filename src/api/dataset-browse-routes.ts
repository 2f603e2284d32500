import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import type { ApiNode } from './api-node.ts'
import { commitSchema } from './dataset-views.ts'
import { namedParam, newRoutes, tells } from './routing.ts'

const COMMITS_TOLD_DEFAULT = 20
const COMMITS_TOLD_MAX = 1_000

const log = createRoute({
  method: 'get',
  path: '/datasets/{name}/log',
  summary: 'The commits of one branch',
  request: {
    params: namedParam,
    query: z.strictObject({
      branch: z.string().min(1).max(200).optional().describe('default: ground-truth'),
      limit: z.coerce.number().int().min(1).max(COMMITS_TOLD_MAX).default(COMMITS_TOLD_DEFAULT),
    }),
  },
  responses: tells(z.array(commitSchema), 'Newest first'),
})

/** What datasets hold, to be looked at. */
export function datasetBrowseRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(log, async (c) => {
    const { branch, limit } = c.req.valid('query')
    return c.json(await node.federation.datasets.log(c.req.valid('param').name, branch, limit), 200)
  })
  return routes
}
