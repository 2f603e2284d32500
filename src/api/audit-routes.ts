import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { auditWindowMaxMs, auditWindowMinMs } from '../base/limits-audit.ts'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { auditSchema } from './audit-views.ts'
import { body, makes, namedParam, newRoutes, tells, withoutUndefined } from './routing.ts'

const open = createRoute({
  method: 'post',
  path: '/datasets/{name}/audits',
  summary: 'Ask every member for its newest head, and compare what they hold',
  request: {
    params: namedParam,
    body: body(
      z.strictObject({
        step: nameSchema.optional().describe("only heads of this step's branches"),
        windowMs: z
          .int()
          .min(auditWindowMinMs)
          .max(auditWindowMaxMs)
          .optional()
          .describe('how long members may answer; default: ten minutes'),
      }),
    ),
  },
  responses: makes(auditSchema, 'The audit, open'),
})

const list = createRoute({
  method: 'get',
  path: '/datasets/{name}/audits',
  summary: 'The audits of a dataset',
  request: { params: namedParam },
  responses: tells(z.array(auditSchema), 'Newest first'),
})

const show = createRoute({
  method: 'get',
  path: '/datasets/{name}/audits/{opened}/{opener}',
  summary: 'One audit: who has answered, and once it has ended, the report',
  description:
    'Asking for one that is over and of which this node has no report has the report made; its state is "comparing" until then.',
  request: {
    params: namedParam.extend({
      opened: z.string().regex(/^\d{1,16}$/),
      opener: z.string().regex(/^[A-Za-z0-9]{1,100}$/),
    }),
  },
  responses: tells(auditSchema, 'The audit'),
})

export function auditRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(open, async (c) => {
    const { name } = c.req.valid('param')
    return c.json(await node.federation.audits.open(name, withoutUndefined(c.req.valid('json'))), 201)
  })
  routes.openapi(list, (c) => {
    return c.json(node.federation.audits.list(c.req.valid('param').name), 200)
  })
  routes.openapi(show, (c) => {
    const { name, opened, opener } = c.req.valid('param')
    return c.json(node.federation.audits.show(`${name}/${opened}/${opener}`), 200)
  })
  return routes
}
