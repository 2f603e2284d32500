import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { sealedValueBytesMax } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { body, isDone, newRoutes, tells, withoutUndefined } from './routing.ts'
import { sealedFileSchema, secretNameFields, secretNameSchema, secretSchema } from './secret-views.ts'

const list = createRoute({
  method: 'get',
  path: '/secrets',
  summary: 'The names of the secrets that are sealed on this node; values are never told',
  responses: tells(z.array(secretSchema), 'Sorted by pipeline, step and variable'),
})

const set = createRoute({
  method: 'put',
  path: '/secrets',
  summary: 'Seal a secret on this node, for all pipelines, one of them, or one step',
  request: {
    body: body(z.strictObject({ ...secretNameFields, value: z.string().min(1).max(sealedValueBytesMax) })),
  },
  responses: tells(secretNameSchema, 'It is sealed, and replaces the one before'),
})

const remove = createRoute({
  method: 'delete',
  path: '/secrets',
  summary: 'Forget a secret of this node',
  request: { query: z.strictObject({ ...secretNameFields, step: nameSchema.optional() }) },
  responses: isDone('It is forgotten'),
})

const seal = createRoute({
  method: 'post',
  path: '/secrets/seal',
  summary: 'Move what secrets.yaml holds into the sealed store, and remove that file',
  responses: tells(sealedFileSchema, 'What was moved; nothing where there is no such file'),
})

export function secretRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(list, async (c) => {
    return c.json(z.array(secretSchema).parse(await node.federation.execution.secrets.list()), 200)
  })
  routes.openapi(set, async (c) => {
    const { value, ...name } = c.req.valid('json')
    await node.federation.execution.secrets.set(withoutUndefined(name), value)
    return c.json(name, 200)
  })
  routes.openapi(remove, async (c) => {
    await node.federation.execution.secrets.remove(withoutUndefined(c.req.valid('query')))
    return c.body(null, 204)
  })
  routes.openapi(seal, async (c) => {
    return c.json(sealedFileSchema.parse(await node.federation.execution.sealSecretsFile()), 200)
  })
  return routes
}
