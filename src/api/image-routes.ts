import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { registryCredentialCharactersMax } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { imageSchema, imageSweepSchema, imageView, inspectedImageSchema, loginSchema } from './image-views.ts'
import { namedView } from './named-view.ts'
import { body, isDone, makes, newRoutes, tells } from './routing.ts'
import { toolViewSchema } from './views.ts'

const referenceSchema = z.string().trim().min(1).max(500)
const registrySchema = z.string().trim().min(1).max(300)
const credentialSchema = z.string().min(1).max(registryCredentialCharactersMax)

const list = createRoute({
  method: 'get',
  path: '/images',
  summary:
    'The images that this node pulled or built and that are still there; those of others are not told of',
  responses: tells(z.array(imageSchema), 'The longest unused first'),
})

const sweep = createRoute({
  method: 'post',
  path: '/images/gc',
  summary: 'Remove images that this node brought and that nothing needs, as the settings say',
  request: { body: body(z.strictObject({ dryRun: z.boolean().default(false) })) },
  responses: tells(imageSweepSchema, 'What went'),
})

const inspect = createRoute({
  method: 'post',
  path: '/images/inspect',
  summary: 'What an image is, and what its labels say; it is pulled where the settings say so',
  request: { body: body(z.strictObject({ image: referenceSchema })) },
  responses: tells(inspectedImageSchema, 'The image'),
})

const logins = createRoute({
  method: 'get',
  path: '/images/logins',
  summary: 'The registries that this node has a password for',
  responses: tells(z.array(loginSchema), 'Without the passwords'),
})

const login = createRoute({
  method: 'put',
  path: '/images/logins/{registry}',
  summary: 'Keep a password of a registry, sealed, after the registry has taken it',
  request: {
    params: z.object({ registry: registrySchema }),
    body: body(z.strictObject({ user: credentialSchema, password: credentialSchema })),
  },
  responses: tells(loginSchema, 'It is kept'),
})

const logout = createRoute({
  method: 'delete',
  path: '/images/logins/{registry}',
  summary: 'Forget the password of a registry',
  request: { params: z.object({ registry: registrySchema }) },
  responses: isDone('It is forgotten'),
})

const addService = createRoute({
  method: 'post',
  path: '/tools/service',
  summary: 'Register the service that the labels of an image describe, bound to this very image',
  request: {
    body: body(
      z.strictObject({
        image: referenceSchema,
        name: nameSchema.optional().describe("default: the service's own name"),
        author: z.string().trim().max(2_000).optional(),
        code_repo: z.string().trim().max(2_000).optional(),
      }),
    ),
  },
  responses: makes(toolViewSchema, 'The tool as it stands in the registry'),
})

export function imageRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  const imaging = () => node.federation.execution.imaging
  routes.openapi(list, async (c) => c.json((await imaging().sweep.list()).map(imageView), 200))
  routes.openapi(sweep, async (c) => {
    const { dryRun } = c.req.valid('json')
    const { removed, bytes, unreachable } = await imaging().sweep.sweep({ dryRun })
    return c.json({ removed: removed.map(imageView), bytes, unreachable: [...unreachable], dryRun }, 200)
  })
  routes.openapi(inspect, async (c) => {
    const inspected = await imaging().services.inspect(c.req.valid('json').image, c.req.raw.signal)
    return c.json(inspectedImageSchema.parse(inspected), 200)
  })
  routes.openapi(logins, async (c) => c.json(await imaging().logins.list(), 200))
  routes.openapi(login, async (c) => {
    const { registry } = c.req.valid('param')
    const engine = node.federation.execution.engines.of()
    return c.json(await imaging().logins.login({ registry, ...c.req.valid('json') }, engine.images), 200)
  })
  routes.openapi(logout, async (c) => {
    await imaging().logins.logout(c.req.valid('param').registry)
    return c.body(null, 204)
  })
  routes.openapi(addService, async (c) => {
    const { image, ...wish } = c.req.valid('json')
    return c.json(namedView(await imaging().services.register(image, wish, c.req.raw.signal)), 201)
  })
  return routes
}
