import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { descriptionCharactersMax, replicasWantedMax } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { datasetDetailSchema, datasetSchema, policySchema } from './dataset-views.ts'
import { body, makes, namedParam, newRoutes, tells, withoutUndefined } from './routing.ts'

export const descriptionSchema = z.string().max(descriptionCharactersMax)

const add = createRoute({
  method: 'post',
  path: '/datasets',
  summary: 'Make a new, empty dataset',
  request: {
    body: body(
      z.strictObject({
        name: nameSchema,
        description: descriptionSchema.default(''),
        policy: policySchema.optional(),
        replicas: z
          .int()
          .min(1)
          .max(replicasWantedMax)
          .optional()
          .describe('how many members beside this one are to keep a copy; every one without a word'),
      }),
    ),
  },
  responses: makes(datasetSchema, 'The dataset'),
})

const list = createRoute({
  method: 'get',
  path: '/datasets',
  summary: "The datasets of the federation, and this node's own",
  responses: tells(z.array(datasetSchema), 'Sorted by name'),
})

const show = createRoute({
  method: 'get',
  path: '/datasets/{name}',
  summary: 'One dataset with the branches of its members, and what it takes here',
  request: { params: namedParam },
  responses: tells(datasetDetailSchema, 'The dataset'),
})

/** Which datasets there are. */
export function datasetRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()

  routes.openapi(add, async (c) => {
    const { name, ...founding } = c.req.valid('json')
    return c.json(await node.federation.datasets.add(name, withoutUndefined(founding)), 201)
  })

  routes.openapi(list, (c) => c.json(node.federation.datasets.list(), 200))

  routes.openapi(show, async (c) => {
    const { name } = c.req.valid('param')
    const { datasets } = node.federation
    const shown = await datasets.show(name)
    return c.json({ ...shown, usage: await datasets.upkeep.usage(name) }, 200)
  })
  return routes
}
