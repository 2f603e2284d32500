import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { body, isDone, makes, newRoutes, tells, withoutUndefined } from './routing.ts'
import { scheduleViewSchema } from './views.ts'

const pipelineParam = z.object({ pipeline: nameSchema })

const add = createRoute({
  method: 'post',
  path: '/schedules',
  summary: 'Run a pipeline on every member at the times of a cron rule',
  request: {
    body: body(
      z.strictObject({
        pipeline: nameSchema,
        cron: z.string().min(1).max(200),
        timezone: z.string().min(1).max(100).optional().describe('IANA name; default: UTC'),
        round: z
          .strictObject({ windowMs: z.int().min(1_000, 'a round takes ballots for a second or longer') })
          .optional()
          .describe('after each run, open a round on its results that takes ballots for so long'),
      }),
    ),
  },
  responses: makes(scheduleViewSchema, 'The schedule; it replaces an earlier one of the pipeline'),
})

const list = createRoute({
  method: 'get',
  path: '/schedules',
  summary: 'The schedules of the federation',
  responses: tells(z.array(scheduleViewSchema), 'Sorted by pipeline'),
})

const remove = createRoute({
  method: 'delete',
  path: '/schedules/{pipeline}',
  summary: 'Run a pipeline no longer by itself',
  request: { params: pipelineParam },
  responses: isDone('It is unscheduled'),
})

export function scheduleRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(add, async (c) => {
    const schedule = withoutUndefined(c.req.valid('json'))
    return c.json(await node.federation.execution.schedule(schedule), 201)
  })
  routes.openapi(list, (c) => c.json(node.federation.execution.scheduled(), 200))
  routes.openapi(remove, async (c) => {
    await node.federation.execution.unschedule(c.req.valid('param').pipeline)
    return c.body(null, 204)
  })
  return routes
}
