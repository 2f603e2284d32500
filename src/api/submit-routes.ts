import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import type { SubmitOptions } from '../execution/queue/submissions.ts'
import type { ApiNode } from './api-node.ts'
import { body, newRoutes, tells, withoutUndefined } from './routing.ts'
import { runView } from './run-view.ts'
import { runSchema } from './run-views.ts'
import {
  idempotencyKeySchema,
  queuedRunSchema,
  runPreviewSchema,
  runPreviewView,
  type Submission,
  submissionSchema,
} from './submit-views.ts'

const submit = createRoute({
  method: 'post',
  path: '/runs',
  summary: 'Run a pipeline on this node; with dryRun, only say what would become of it',
  request: {
    headers: z.object({
      'idempotency-key': idempotencyKeySchema
        .optional()
        .describe('asking again under the same key gives the run that the first request made'),
    }),
    query: z.strictObject({ dryRun: z.enum(['true', 'false']).default('false') }),
    body: body(submissionSchema),
  },
  responses: {
    ...tells(runPreviewSchema, 'With dryRun: what would become of it; nothing was written'),
    201: {
      description: 'The run, queued, or as it stands where the key was used before',
      content: { 'application/json': { schema: runSchema } },
    },
  },
})

const queue = createRoute({
  method: 'get',
  path: '/queue',
  summary: 'The runs that wait on this node, as they stand in line, each with the reason why it waits',
  responses: tells(z.array(queuedRunSchema), 'The next one first'),
})

export function submitRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(submit, async (c) => {
    const { execution } = node.federation
    const { pipeline, ...asked } = c.req.valid('json')
    const options = optionsOf(asked, c.req.valid('header')['idempotency-key'])
    if (c.req.valid('query').dryRun === 'true') {
      return c.json(runPreviewView(await execution.previews.preview(pipeline, options)), 200)
    }
    const run = await execution.submit(pipeline, options)
    return c.json(runView(run, execution.position(run.id)), 201)
  })
  routes.openapi(queue, (c) => {
    const waiting = node.federation.execution.queue.line().map(({ run, position, why }) => {
      return queuedRunSchema.parse({ owner: 'node', priority: 0, ...run, position, why })
    })
    return c.json(waiting, 200)
  })
  return routes
}

function optionsOf(asked: Omit<Submission, 'pipeline'>, requestKey: string | undefined): SubmitOptions {
  return withoutUndefined({ ...asked, requestKey }) as SubmitOptions
}
