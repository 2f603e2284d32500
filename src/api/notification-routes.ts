import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { deliverySchema, receiverSchema, webhookKeySchema } from './notification-views.ts'
import { newRoutes, tells } from './routing.ts'

const receivers = createRoute({
  method: 'get',
  path: '/notifications/receivers',
  summary: 'Who outside is told of spikes and runs',
  responses: tells(z.array(receiverSchema), 'As the settings name them'),
})

const key = createRoute({
  method: 'get',
  path: '/notifications/receivers/{name}/key',
  summary: 'What the other end of a webhook checks signatures with; whsec_… is secret, whpk_… is public',
  request: { params: z.object({ name: nameSchema }) },
  responses: tells(webhookKeySchema, 'The key'),
})

const deliveries = createRoute({
  method: 'get',
  path: '/notifications/deliveries',
  summary: 'What became of each message',
  request: {
    query: z.strictObject({
      state: z.enum(['waiting', 'delivered', 'given-up']).optional(),
      limit: z.coerce.number().int().min(1).max(1_000).default(100),
    }),
  },
  responses: tells(z.array(deliverySchema), 'Newest first'),
})

const again = createRoute({
  method: 'post',
  path: '/notifications/deliveries/{name}/retry',
  summary: 'Try one again at once',
  request: { params: z.object({ name: z.string().min(1).max(200) }) },
  responses: tells(deliverySchema, 'The delivery, waiting'),
})

const test = createRoute({
  method: 'post',
  path: '/notifications/test',
  summary: 'Send everybody who is told anything a message of no meaning',
  responses: tells(z.array(deliverySchema), 'Its deliveries'),
})

export function notificationRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  const room = () => node.federation.execution.notifications
  routes.openapi(receivers, (c) => c.json(z.array(receiverSchema).parse(room().receivers()), 200))
  routes.openapi(key, (c) => c.json(room().key(c.req.valid('param').name), 200))
  routes.openapi(deliveries, (c) => {
    const { state, limit } = c.req.valid('query')
    const found = room()
      .deliveries.list()
      .filter((delivery) => state === undefined || delivery.state === state)
    return c.json(z.array(deliverySchema).parse(found.slice(0, limit)), 200)
  })
  routes.openapi(again, async (c) => {
    return c.json(deliverySchema.parse(await room().deliveries.again(c.req.valid('param').name)), 200)
  })
  routes.openapi(test, async (c) => c.json(z.array(deliverySchema).parse(await room().test()), 200))
  return routes
}
