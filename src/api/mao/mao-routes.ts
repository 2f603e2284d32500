/**
 * The predecessor's routes, at the root where its clients look for them (protocols/gateway.md §1): what they say and
 * hear is the predecessor's, what they do is the node's.
 */
import { createRoute, OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import type { ApiNode } from '../api-node.ts'
import { maoRoutesApart, says, told } from './answers.ts'
import { maoDatasetRoutes } from './datasets.ts'
import { maoGatewayRoutes } from './gateway.ts'
import { maoPipelineRoutes } from './pipelines.ts'
import { maoRunRoutes } from './runs.ts'
import { maoToolRoutes } from './tools.ts'

const hello = createRoute({
  method: 'get',
  path: '/',
  summary: 'Whether a node answers, for clients of the predecessor; browsers get the page',
  responses: says(z.literal('hello'), 'It does'),
})

/** Nothing at all where the settings say `off`. */
export function maoRoutes(node: ApiNode, { stopping }: { stopping: AbortSignal }): OpenAPIHono {
  const routes = new OpenAPIHono()
  if (node.config.maoApi === 'off') return routes
  const root = maoRoutesApart()
  root.openapi(hello, (c) => told(c, 'hello'))
  for (const part of [
    root,
    maoToolRoutes(node),
    maoDatasetRoutes(node),
    maoPipelineRoutes(node),
    maoRunRoutes(node, stopping),
    maoGatewayRoutes(node),
  ]) {
    routes.route('/', part)
  }
  return routes
}
