import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import type { ApiNode } from './api-node.ts'
import { collectedSchema, verificationSchema } from './dataset-views.ts'
import { namedParam, newRoutes, tells } from './routing.ts'

const verify = createRoute({
  method: 'post',
  path: '/datasets/{name}/verify',
  summary: 'Read every object of a dataset, and compare what is here with what was announced and agreed',
  request: { params: namedParam },
  responses: tells(verificationSchema, 'What was found'),
})

const collect = createRoute({
  method: 'post',
  path: '/datasets/{name}/gc',
  summary: "Pack this node's copy of a dataset, and drop what nothing has led to for long enough",
  request: { params: namedParam },
  responses: tells(collectedSchema, 'What that brought'),
})

/** Work on this node's copies of datasets that is done now, because somebody asks; it may take long. */
export function datasetWorkRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()

  routes.openapi(verify, async (c) => {
    const { name } = c.req.valid('param')
    // Whoever hangs up wants no answer any more.
    const { signal } = c.req.raw
    return c.json(await node.federation.datasets.upkeep.verify(name, { signal }), 200)
  })

  // Goes on when the client hangs up: half a collection is of no use.
  routes.openapi(collect, async (c) => {
    return c.json(await node.federation.datasets.upkeep.collect(c.req.valid('param').name), 200)
  })
  return routes
}
