import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { datasetSchema } from './dataset-views.ts'
import { body, makes, namedParam, newRoutes, tells } from './routing.ts'

export const descriptionSchema = z.string().max(2_000)

const add = createRoute({
  method: 'post',
  path: '/datasets',
  summary: 'Make a new, empty dataset that the federation shares',
  request: { body: body(z.strictObject({ name: nameSchema, description: descriptionSchema.default('') })) },
  responses: makes(datasetSchema, 'The dataset'),
})

const list = createRoute({
  method: 'get',
  path: '/datasets',
  summary: 'The datasets of the federation',
  responses: tells(z.array(datasetSchema), 'Sorted by name'),
})

const show = createRoute({
  method: 'get',
  path: '/datasets/{name}',
  summary: 'One dataset with the branches of its members',
  request: { params: namedParam },
  responses: tells(datasetSchema, 'The dataset'),
})

export function datasetRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(add, async (c) => {
    const { name, description } = c.req.valid('json')
    return c.json(await node.federation.datasets.add(name, { description }), 201)
  })
  routes.openapi(list, (c) => c.json(node.federation.datasets.list(), 200))
  routes.openapi(show, async (c) => {
    return c.json(await node.federation.datasets.show(c.req.valid('param').name), 200)
  })
  return routes
}
