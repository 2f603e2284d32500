import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import type { Logger } from '../base/logger.ts'
import { nameSchema } from '../base/names.ts'
import { STAGES } from '../execution/runs/run.ts'
import type { ApiNode } from './api-node.ts'
import { liveBytes } from './live-bytes.ts'
import { newRoutes, streams } from './routing.ts'
import { logHeaders } from './run-log-headers.ts'

/** A boolean as a query writes it. */
const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true')

const logs = createRoute({
  method: 'get',
  path: '/runs/{id}/logs',
  summary: 'What the steps printed; with follow, until the run ends',
  description:
    'The logs of the steps one behind the other, without secrets. They only grow at their end, so a reader that was cut goes on with `from` = `mao-log-from` + the bytes that it had.',
  request: {
    params: z.object({ id: z.string().min(1).max(100) }),
    query: z.strictObject({
      step: nameSchema.optional().describe('that step alone'),
      stage: z
        .enum(STAGES)
        .default('algorithm')
        .describe("algorithm and filter: the tool's words; configure and publish: the node's own"),
      from: z.coerce.number().int().min(0).default(0).describe('the first byte that is wanted'),
      follow: flag,
    }),
  },
  responses: streams('text/plain', 'The text, as it comes'),
})

export function runLogRoutes(node: ApiNode, parts: { stopping: AbortSignal; log: Logger }): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(logs, async (c) => {
    const { step, stage, from, follow } = c.req.valid('query')
    const { id } = c.req.valid('param')
    const { reading } = node.federation.execution
    // Asked here, so that what is not there is a problem and not a stream that breaks.
    const { bytes, complete } = await reading.state(id, { step, stage })
    const gone = new AbortController()
    const content = reading.bytes(id, { step, stage, from, follow, signal: gone.signal })
    return c.body(
      liveBytes({ content, gone, mayStay: c.get('mayStay'), ...parts }),
      200,
      logHeaders({ from, bytes, complete }),
    )
  })
  return routes
}
