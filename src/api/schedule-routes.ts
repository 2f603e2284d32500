import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { demandSay } from './claim-rights.ts'
import { seenBy } from './observed.ts'
import { body, isDone, makes, newRoutes, tells, withoutUndefined } from './routing.ts'
import { newScheduleSchema, scheduleDetailsSchema, scheduleViewSchema } from './schedule-views.ts'

const pipelineParam = z.object({ pipeline: nameSchema })

const add = createRoute({
  method: 'post',
  path: '/schedules',
  summary: 'Run a pipeline at the times of a cron rule, on every member or once for the federation',
  request: { body: body(newScheduleSchema) },
  responses: makes(scheduleViewSchema, 'The schedule; it replaces an earlier one of the pipeline'),
})

const list = createRoute({
  method: 'get',
  path: '/schedules',
  summary: 'The schedules of the federation',
  responses: tells(z.array(scheduleViewSchema), 'Sorted by pipeline'),
})

const show = createRoute({
  method: 'get',
  path: '/schedules/{pipeline}',
  summary: 'One schedule: when it fires next, how its last runs went, who runs which slot',
  request: { params: pipelineParam },
  responses: tells(scheduleDetailsSchema, 'As this node knows it'),
})

const pause = createRoute({
  method: 'post',
  path: '/schedules/{pipeline}/pause',
  summary: 'Run it no more until it is resumed; slots that come meanwhile are passed over',
  request: { params: pipelineParam },
  responses: tells(scheduleViewSchema, 'The schedule, paused on all members'),
})

const resume = createRoute({
  method: 'post',
  path: '/schedules/{pipeline}/resume',
  summary: 'Run it again from its next slot on',
  request: { params: pipelineParam },
  responses: tells(scheduleViewSchema, 'The schedule'),
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
  const timetable = () => node.federation.execution.timetable
  const demand = (c: Context, pipeline: string) => demandSay(c, node, `/schedules/${pipeline}`)
  routes.openapi(add, async (c) => {
    const wanted = withoutUndefined(c.req.valid('json'))
    demand(c, wanted.pipeline)
    return c.json(told(await timetable().add(wanted)), 201)
  })
  routes.openapi(list, (c) => c.json(seenBy(c, timetable().list().map(told)), 200))
  routes.openapi(show, (c) => {
    const { pipeline } = c.req.valid('param')
    return c.json(seenBy(c, scheduleDetailsSchema.parse(timetable().show(pipeline))), 200)
  })
  routes.openapi(pause, async (c) => {
    const { pipeline } = c.req.valid('param')
    demand(c, pipeline)
    return c.json(told(await timetable().pause(pipeline, true)), 200)
  })
  routes.openapi(resume, async (c) => {
    const { pipeline } = c.req.valid('param')
    demand(c, pipeline)
    return c.json(told(await timetable().pause(pipeline, false)), 200)
  })
  routes.openapi(remove, async (c) => {
    const { pipeline } = c.req.valid('param')
    demand(c, pipeline)
    await timetable().remove(pipeline)
    return c.body(null, 204)
  })
  return routes
}

function told(schedule: unknown): z.output<typeof scheduleViewSchema> {
  return scheduleViewSchema.parse(schedule)
}
