import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import type { Logger } from '../base/logger.ts'
import { nameSchema } from '../base/names.ts'
import { ownerOf } from '../execution/queue/turns.ts'
import { ALLOWED, type Run, type RunState } from '../execution/runs/run.ts'
import type { ApiNode } from './api-node.ts'
import { seenBy } from './observed.ts'
import { makes, newRoutes, tells } from './routing.ts'
import { runLogRoutes } from './run-log-routes.ts'
import { runView } from './run-view.ts'
import { runSchema } from './run-views.ts'

const RUNS_TOLD_DEFAULT = 100
const RUNS_TOLD_MAX = 1_000

const STATES = Object.keys(ALLOWED) as RunState[]

const idParam = z.object({ id: z.string().min(1).max(100) })

const list = createRoute({
  method: 'get',
  path: '/runs',
  summary: 'The runs of this node',
  request: {
    query: z.strictObject({
      pipeline: nameSchema.optional(),
      state: z.enum(STATES).optional(),
      owner: z.string().max(200).optional().describe('node, or the peer id of a member'),
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
  routes.openapi(list, (c) => {
    const { limit, ...wanted } = c.req.valid('query')
    const { execution } = node.federation
    const runs = execution.runs().filter((run) => isWanted(run, wanted))
    const told = runs.reverse().slice(0, limit)
    const line = told.some(({ state }) => state === 'queued') ? execution.queue.line() : []
    const places = new Map(line.map((place) => [place.run.id, place]))
    return c.json(
      seenBy(
        c,
        told.map((run) => runView(run, places.get(run.id))),
      ),
      200,
    )
  })
  routes.openapi(show, (c) => {
    const { execution } = node.federation
    const { id } = c.req.valid('param')
    return c.json(seenBy(c, runView(execution.run(id), execution.position(id))), 200)
  })
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

interface Wanted {
  readonly pipeline?: string | undefined
  readonly state?: RunState | undefined
  readonly owner?: string | undefined
}

function isWanted(run: Run, { pipeline, state, owner }: Wanted): boolean {
  return (
    (pipeline === undefined || run.pipeline === pipeline) &&
    (state === undefined || run.state === state) &&
    (owner === undefined || ownerOf(run) === owner)
  )
}
