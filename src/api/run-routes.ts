import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import type { Logger } from '../base/logger.ts'
import { nameSchema } from '../base/names.ts'
import { ALLOWED, type Run, type RunState } from '../execution/runs/run.ts'
import type { ApiNode } from './api-node.ts'
import { body, makes, newRoutes, tells } from './routing.ts'
import { runLogRoutes } from './run-log-routes.ts'
import { type RunView, runSchema } from './run-views.ts'

const RUNS_TOLD_DEFAULT = 100
const RUNS_TOLD_MAX = 1_000

const STATES = Object.keys(ALLOWED) as RunState[]

const idParam = z.object({ id: z.string().min(1).max(100) })
const submit = createRoute({
  method: 'post',
  path: '/runs',
  summary: 'Run a pipeline on this node',
  request: {
    body: body(
      z.strictObject({
        pipeline: nameSchema,
        slot: z.int().min(0).optional().describe('the round that the results belong to, ms; default: now'),
      }),
    ),
  },
  responses: makes(runSchema, 'The run, queued'),
})

const list = createRoute({
  method: 'get',
  path: '/runs',
  summary: 'The runs of this node',
  request: {
    query: z.strictObject({
      pipeline: nameSchema.optional(),
      state: z.enum(STATES).optional(),
      limit: z.coerce.number().int().min(1).max(RUNS_TOLD_MAX).default(RUNS_TOLD_DEFAULT),
    }),
  },
  responses: tells(z.array(runSchema), 'Newest first'),
})

const show = createRoute({
  method: 'get',
  path: '/runs/{id}',
  summary: 'One run with its steps and its history',
  request: { params: idParam },
  responses: tells(runSchema, 'The run'),
})

const cancel = createRoute({
  method: 'post',
  path: '/runs/{id}/cancel',
  summary: 'Stop a run',
  request: { params: idParam },
  responses: tells(runSchema, 'The run as it stands after the request'),
})

const repeat = createRoute({
  method: 'post',
  path: '/runs/{id}/repeat',
  summary: 'Run the same again, for the same round',
  request: { params: idParam },
  responses: makes(runSchema, 'The new run'),
})

export function runRoutes(node: ApiNode, parts: { stopping: AbortSignal; log: Logger }): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(submit, async (c) => {
    const { pipeline, slot } = c.req.valid('json')
    const options = slot === undefined ? {} : { trigger: { kind: 'request' as const, slot } }
    return c.json(runView(await node.federation.execution.submit(pipeline, options)), 201)
  })
  routes.openapi(list, (c) => {
    const { pipeline, state, limit } = c.req.valid('query')
    const runs = node.federation.execution.runs().filter((run) => {
      return (
        (pipeline === undefined || run.pipeline === pipeline) && (state === undefined || run.state === state)
      )
    })
    return c.json(runs.reverse().slice(0, limit).map(runView), 200)
  })
  routes.openapi(show, (c) => c.json(runView(node.federation.execution.run(c.req.valid('param').id)), 200))
  routes.openapi(cancel, async (c) => {
    const { id } = c.req.valid('param')
    return c.json(runView(await node.federation.execution.cancel(id)), 200)
  })
  routes.openapi(repeat, async (c) => {
    return c.json(runView(await node.federation.execution.repeat(c.req.valid('param').id)), 201)
  })
  routes.route('/', runLogRoutes(node, parts))
  return routes
}

/** The schema decides what is told of a run: of secrets, their names. */
function runView(run: Run): RunView {
  return runSchema.parse(run)
}
