import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import type { Logger } from '../base/logger.ts'
import type { NodeEvent } from '../node.ts'
import type { EventHub, Happening } from './events.ts'
import { newRoutes, streams, withoutUndefined } from './routing.ts'
import { liveText } from './streams.ts'

/** As node.ts has them; a name that no event has would be waited for for ever. */
const TYPES: readonly NodeEvent['type'][] = ['federation', 'registry', 'dataset', 'run', 'round', 'audit']
const typesSchema = z
  .string()
  .max(200)
  .transform((text) => text.split(',').map((type) => type.trim()))
  .pipe(z.array(z.enum(TYPES)))

const follow = createRoute({
  method: 'get',
  path: '/events',
  summary: 'What happens on the node, as server-sent events',
  request: {
    query: z.strictObject({
      types: typesSchema.optional().describe(`only these, separated by commas: ${TYPES.join(',')}`),
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
    const listed = c.req.valid('query').types
    const types = listed === undefined ? undefined : new Set<string>(listed)
    const options = withoutUndefined({ after, types })
    // Asked for here, so that one stream too many is a problem and not a stream that breaks.
    events.checkRoom()
    const iterate = (signal: AbortSignal) => events.read({ ...options, signal })
    const stream = liveText({ iterate, mayStay: c.get('mayStay'), ...parts })
    const headers = {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    }
    return c.body(stream, 200, headers)
  })
  return routes
}
