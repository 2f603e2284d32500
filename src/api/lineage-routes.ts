import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import type { ApiNode } from './api-node.ts'
import { comparisonSchema } from './lineage-views.ts'
import { makes, newRoutes, tells } from './routing.ts'
import { runSchema } from './run-views.ts'

const idParam = z.object({ id: z.string().min(1).max(100) })

const rerun = createRoute({
  method: 'post',
  path: '/runs/{id}/rerun',
  summary: 'Do a run again with the same images, inputs and parameters, beside all branches, to compare',
  request: { params: idParam },
  responses: makes(runSchema, 'The rerun, queued'),
})

const comparison = createRoute({
  method: 'get',
  path: '/runs/{id}/comparison',
  summary: 'Whether a rerun came out as the run that it did again',
  request: { params: idParam },
  responses: tells(comparisonSchema, 'Step by step'),
})

export function lineageRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(rerun, async (c) => {
    return c.json(
      runSchema.parse(await node.federation.execution.lineage.rerun(c.req.valid('param').id)),
      201,
    )
  })
  routes.openapi(comparison, async (c) => {
    return c.json(
      comparisonSchema.parse(await node.federation.execution.lineage.compare(c.req.valid('param').id)),
      200,
    )
  })
  return routes
}
