import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { body, makes, namedParam, newRoutes, tells } from './routing.ts'

const digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'a digest is written sha256: and 64 hexadecimal digits')

const layout = z
  .enum(['mao', 'compute-to-data'])
  .describe('where the tool and its filter find their files; without one, where the image says')

export const trustedToolSchema = z
  .object({
    digest: z.string(),
    tool: z.string().optional(),
    filter: z.object({ tool: z.string(), digest: z.string() }).optional(),
    logs: z.boolean().describe('whether whoever asks may read what the tool printed'),
    parameters: z.boolean().describe('whether whoever asks may choose command, variables and further inputs'),
    layout: layout.optional(),
    timeMs: z.int(),
  })
  .meta({ id: 'TrustedTool', description: 'a tool that may read a dataset whose objects do not leave' })

export const distrustedSchema = z.object({ digests: z.array(z.string()) })

const list = createRoute({
  method: 'get',
  path: '/datasets/{name}/trusted',
  summary: "Tools that other members' runs may read the dataset with, on this node",
  request: { params: namedParam },
  responses: tells(z.array(trustedToolSchema), 'The tools'),
})

const trust = createRoute({
  method: 'post',
  path: '/datasets/{name}/trusted',
  summary: 'Trust a tool by the digest of its image',
  request: {
    params: namedParam,
    body: body(
      z.strictObject({
        tool: nameSchema.optional().describe('trusted as its image is here now, unless a digest is given'),
        digest: digest.optional(),
        filter: nameSchema.optional().describe('a tool that the output must pass'),
        logs: z.boolean().optional(),
        parameters: z.boolean().optional(),
        layout: layout.optional(),
      }),
    ),
  },
  responses: makes(trustedToolSchema, 'What is trusted now'),
})

const distrust = createRoute({
  method: 'delete',
  path: '/datasets/{name}/trusted',
  summary: 'Trust a tool no more; runs at work that rely on it are ended',
  request: {
    params: namedParam,
    query: z.strictObject({ tool: nameSchema.optional(), digest: digest.optional() }),
  },
  responses: tells(distrustedSchema, 'What is trusted no more'),
})

export function trustRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(list, (c) => c.json(node.federation.remote.trusted(c.req.valid('param').name), 200))
  routes.openapi(trust, async (c) => {
    const { name } = c.req.valid('param')
    return c.json(await node.federation.remote.trust(name, c.req.valid('json')), 201)
  })
  routes.openapi(distrust, async (c) => {
    const { name } = c.req.valid('param')
    return c.json({ digests: await node.federation.remote.distrust(name, c.req.valid('query')) }, 200)
  })
  return routes
}
