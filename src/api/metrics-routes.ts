import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import type { NodeMetrics } from './metrics.ts'
import { newRoutes, streams } from './routing.ts'

const read = createRoute({
  method: 'get',
  path: '/metrics',
  summary: 'The node in figures, as Prometheus reads them',
  responses: streams('text/plain', 'The text format of Prometheus, version 0.0.4'),
})

/** Where Prometheus looks by itself; it brings the token as every client does. */
export function metricsRoutes(metrics: NodeMetrics): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(read, async (c) =>
    c.body(await metrics.text(), 200, { 'content-type': metrics.contentType }),
  )
  return routes
}
