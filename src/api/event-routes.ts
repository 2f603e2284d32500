import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import type { Logger } from '../base/logger.ts'
import type { EventHub, Happening } from './events.ts'
import { newRoutes, streams, withoutUndefined } from './routing.ts'
import { liveText } from './streams.ts'

const follow = createRoute({
  method: 'get',
  path: '/events',
  summary: 'What happens on the node, as server-sent events',
  request: {
    query: z.strictObject({
      types: z
        .string()
        .max(200)
        .optional()
        .describe('only these, separated by commas: registry,run,dataset,round'),
    }),
    headers: z.object({
      'last-event-id': z
        .string()
        .max(100)
        .optional()
        .describe('go on after this event, where it is still kept'),
    }),
  },
  responses: streams(
    'text/event-stream',
    'An event "open" that says whether some were missed, then each as it comes',
  ),
})

export function eventRoutes<E extends Happening>(
  events: Pick<EventHub<E>, 'read' | 'checkRoom'>,
  parts: { stopping: AbortSignal; log: Logger },
): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(follow, (c) => {
    const after = c.req.valid('header')['last-event-id']
    const listed = c.req.valid('query').types?.split(',')
    const types = listed === undefined ? undefined : new Set(listed.map((type) => type.trim()))
    const options = withoutUndefined({ after, types })
    // Asked for here, so that one stream too many is a problem and not a stream that breaks.
    events.checkRoom()
    const stream = liveText({ iterate: (signal) => events.read({ ...options, signal }), ...parts })
    const headers = {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    }
    return c.body(stream, 200, headers)
  })
  return routes
}
