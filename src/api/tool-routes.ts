import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { nameSchema } from '../base/names.ts'
import { toolSchema, withoutNulls } from '../execution/catalogue/tool.ts'
import type { ApiNode } from './api-node.ts'
import { demandSay } from './claim-rights.ts'
import { namedView } from './named-view.ts'
import { body, isDone, makes, namedParam, newRoutes, tells } from './routing.ts'
import { toolViewSchema } from './views.ts'

const add = createRoute({
  method: 'post',
  path: '/tools',
  summary: 'Register a tool',
  request: {
    body: body(
      z.preprocess(
        withoutNulls,
        z.strictObject({ ...toolSchema.omit({ service: true }).shape, name: nameSchema }),
      ),
    ),
  },
  responses: makes(toolViewSchema, 'The tool as it stands in the registry'),
})

const list = createRoute({
  method: 'get',
  path: '/tools',
  summary: 'The tools of the federation',
  responses: tells(z.array(toolViewSchema), 'Sorted by name'),
})

const show = createRoute({
  method: 'get',
  path: '/tools/{name}',
  summary: 'One tool',
  request: { params: namedParam },
  responses: tells(toolViewSchema, 'The tool'),
})

const remove = createRoute({
  method: 'delete',
  path: '/tools/{name}',
  summary: 'Take a tool out of the registry',
  request: { params: namedParam },
  responses: isDone('It is gone'),
})

const acceptImage = createRoute({
  method: 'post',
  path: '/tools/{name}/accept-image',
  summary: 'Take the image that the reference of a tool means now as the right one, on this node',
  request: { params: namedParam },
  responses: tells(toolViewSchema, 'The tool; its next run says which image that is'),
})

export function toolRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  const found = (name: string) => {
    const tool = node.federation.execution.tools.get(name)
    if (tool === undefined) throw new NodeError('TOOL_NOT_FOUND', `No tool is named ${name}`, { name })
    return tool
  }
  routes.openapi(add, async (c) => {
    const { name, ...tool } = c.req.valid('json')
    demandSay(c, node, `/tools/${name}`)
    return c.json(namedView(await node.federation.execution.addTool(name, tool)), 201)
  })
  routes.openapi(list, (c) => c.json(node.federation.execution.tools.list().map(namedView), 200))
  routes.openapi(show, (c) => c.json(namedView(found(c.req.valid('param').name)), 200))
  routes.openapi(acceptImage, async (c) => {
    const tool = found(c.req.valid('param').name)
    await node.federation.execution.acceptImage(tool.value.image)
    return c.json(namedView(tool), 200)
  })
  routes.openapi(remove, async (c) => {
    const { name } = found(c.req.valid('param').name)
    demandSay(c, node, `/tools/${name}`)
    await node.federation.execution.tools.remove(name)
    return c.body(null, 204)
  })
  return routes
}
