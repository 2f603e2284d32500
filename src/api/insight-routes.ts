import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { newRoutes, tells } from './routing.ts'

export const insightSchema = z
  .object({
    tool: z.string(),
    peer: z.string().describe('peer id of the member that published it'),
    node: z.string().describe("the member's name"),
    timeMs: z.int().describe('milliseconds since 1970'),
    bytes: z.int().describe('of the JSON'),
    value: z.unknown().describe("the tool's insights.json"),
  })
  .meta({ id: 'Insight', description: 'what a tool said last of its results, on one member' })
export type InsightView = z.output<typeof insightSchema>

const list = createRoute({
  method: 'get',
  path: '/insights',
  summary: 'What the tools of the federation have published, one for each tool and member',
  responses: tells(z.array(insightSchema), "Sorted by tool; of each, this node's own first, then the newest"),
})

const show = createRoute({
  method: 'get',
  path: '/insights/{tool}',
  summary: 'What one tool has published, on each member',
  request: { params: z.object({ tool: nameSchema }) },
  responses: tells(z.array(insightSchema), "This node's own first, then the newest"),
})

export function insightRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(list, (c) => c.json(node.federation.execution.insights.list(), 200))
  routes.openapi(show, (c) => {
    const { tool } = c.req.valid('param')
    const insights = node.federation.execution.insights.list(tool)
    if (insights.length > 0) return c.json(insights, 200)
    const message = `The tool ${tool} has published no insights: none of its results on a shared dataset held an insights.json`
    throw new NodeError('NOT_FOUND', message, { tool })
  })
  return routes
}
