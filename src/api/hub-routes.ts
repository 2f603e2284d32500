import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { MARKET_FILES, type MarketFile, writeMarketFile } from '../marketplace/predecessor.ts'
import type { ApiNode } from './api-node.ts'
import { newRoutes, tells } from './routing.ts'

const hubFile = (file: MarketFile, open: boolean) =>
  createRoute({
    method: 'get',
    path: `/hub/api/${file}`,
    summary: `The ${MARKET_FILES[file]}s that this node has heard of, as the predecessor's installers read them`,
    ...(open ? { security: [] } : {}),
    request: {
      query: z.object({
        more: z
          .enum(['true', 'false'])
          .optional()
          .describe('true: with fields that the predecessor did not have, such as ids and addresses'),
      }),
    },
    responses: tells(z.array(z.record(z.string(), z.unknown())), 'Each name once'),
  })

/**
 * The three files of the predecessor's marketplace, with which any node serves old installers
 * (protocols/marketplace.md §9). No routes at all where the setting says so.
 */
export function hubRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  const { hub } = node.config.marketplace
  if (hub === 'off') return routes
  for (const [file, kind] of Object.entries(MARKET_FILES)) {
    routes.openapi(hubFile(file as MarketFile, hub === 'open'), (c) => {
      const more = c.req.valid('query').more === 'true'
      const { marketplace } = node
      const entries = writeMarketFile(kind, marketplace.list({ kind }), marketplace.standingOf, more)
      return c.json(entries, 200)
    })
  }
  return routes
}
