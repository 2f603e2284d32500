import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { systemClock } from '../base/clock.ts'
import { NodeError } from '../base/errors.ts'
import { HubFiles } from '../marketplace/hub-files.ts'
import { MARKET_FILES, type MarketFile } from '../marketplace/predecessor.ts'
import type { ApiNode } from './api-node.ts'
import { newRoutes, tells } from './routing.ts'

const told = tells(z.array(z.record(z.string(), z.unknown())), 'Each name once')
/** Answers are texts that were written before, which is why their type is not told to the framework. */
type Content = Record<string, { schema: z.ZodType }>

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
    responses: { ...told, 200: { ...told[200], content: told[200].content as Content } },
  })

/**
 * The three files of the predecessor's marketplace, with which any node serves old installers
 * (protocols/marketplace.md §9). No routes at all where the setting says so.
 */
export function hubRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  const { hub, hubStrangers } = node.config.marketplace
  if (hub === 'off') return routes
  const { marketplace: market } = node
  const files = new HubFiles({ market, clock: systemClock, strangers: hubStrangers === 'all' })
  for (const [file, kind] of Object.entries(MARKET_FILES)) {
    routes.openapi(hubFile(file as MarketFile, hub === 'open'), (c) => {
      const text = files.text(kind, c.req.valid('query').more === 'true')
      return c.body(text, 200, { 'content-type': 'application/json' })
    })
  }
  // Whoever needs no token is told that a file is none, and is not asked for a token then.
  if (hub === 'open') {
    routes.all('/hub/*', (c) => {
      throw new NodeError('NOT_FOUND', `There is nothing at ${c.req.path}`)
    })
  }
  return routes
}
