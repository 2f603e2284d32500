import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { registryWatchesMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { ApiNode } from './api-node.ts'
import { changeView, keyOf } from './registry-entries.ts'
import { prefixSchema, revisionSchema } from './registry-routes.ts'
import { watchText } from './registry-watch.ts'
import { newRoutes, streams } from './routing.ts'
import { liveText } from './streams.ts'

const watch = createRoute({
  method: 'get',
  path: '/registry/watch',
  summary: 'The changes of keys, as server-sent events',
  request: {
    query: z.strictObject({
      prefix: prefixSchema.default(''),
      from: revisionSchema.optional().describe('the first revision to tell of; from now on without it'),
    }),
    headers: z.object({
      'last-event-id': z
        .string()
        .regex(/^\d{1,15}$/)
        .optional()
        .describe('go on after this revision'),
    }),
  },
  responses: streams(
    'text/event-stream',
    'An event "open", then "changes" for each revision, "progress" when it is quiet, "compacted" for who is too slow',
  ),
})

/** The watches that are open, so that there are never too many. */
export class Watches {
  open = 0

  /** @throws NodeError QUEUE_FULL */
  checkRoom(): void {
    if (this.open < registryWatchesMax) return
    throw new NodeError('QUEUE_FULL', `${registryWatchesMax} watches are open already; close one first`)
  }

  async *count(texts: AsyncIterable<string>): AsyncGenerator<string> {
    this.open += 1
    try {
      yield* texts
    } finally {
      this.open -= 1
    }
  }
}

export function registryWatchRoutes(
  node: ApiNode,
  parts: { stopping: AbortSignal; log: Logger; watches: Watches },
): OpenAPIHono {
  const { watches, ...rest } = parts
  const routes = newRoutes()
  routes.openapi(watch, (c) => {
    const { federation } = node
    const { keyValues } = federation.registry
    const { prefix, from: wanted } = c.req.valid('query')
    const after = c.req.valid('header')['last-event-id']
    const from = after === undefined ? (wanted ?? keyValues.revision + 1) : Number(after) + 1
    // Asked for here, so that what cannot be had is a problem and not a stream that breaks.
    checkFrom(from, keyValues)
    watches.checkRoom()
    const iterate = (signal: AbortSignal) => {
      const view = { view: (event: Parameters<typeof changeView>[1]) => changeView(federation, event) }
      return watches.count(watchText({ keyValues, prefix: keyOf(prefix), from, ...view, signal }))
    }
    const headers = {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    }
    return c.body(liveText({ iterate, mayStay: c.get('mayStay'), ...rest }), 200, headers)
  })
  return routes
}

function checkFrom(from: number, { revision, compacted }: { revision: number; compacted: number }): void {
  if (from < compacted) {
    const message = `Changes from revision ${from} on are no longer kept; the oldest that are kept are those of ${compacted}`
    throw new NodeError('REVISION_COMPACTED', message, { revision: from, compacted })
  }
  if (from <= revision + 1) return
  const message = `Revision ${from} has not been reached; this node is at ${revision}`
  throw new NodeError('REVISION_FUTURE', message, { revision: from, current: revision })
}
