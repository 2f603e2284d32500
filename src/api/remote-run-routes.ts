import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import type { Logger } from '../base/logger.ts'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { liveBytes } from './live-bytes.ts'
import { seenBy } from './observed.ts'
import { askedPlacesSchema, type RemoteRunView, remoteRunSchema, remoteRunView } from './remote-run-views.ts'
import { body, makes, newRoutes, streams, tells, withoutUndefined } from './routing.ts'
import { logHeaders } from './run-log-headers.ts'
import { idempotencyKeySchema } from './submit-views.ts'

const idParam = z.object({ id: z.string().min(1).max(100) })
const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true')

const submission = z.strictObject({
  pipeline: nameSchema,
  where: z.string().optional().describe('a predicate, such as memory>=8 && dataset=x'),
  on: z.array(z.string().min(1).max(100)).min(1).max(32).optional().describe('names or peer ids of members'),
  atData: z.boolean().optional().describe('only where the data of the run are'),
  digests: z
    .record(
      nameSchema,
      z.string().regex(/^sha256:[0-9a-f]{64}$/, 'a digest is written sha256: and 64 digits'),
    )
    .optional()
    .describe('tool → digest, where another image is meant than the one that is here'),
})

const submit = createRoute({
  method: 'post',
  path: '/remote-runs',
  summary: 'Run a pipeline at another member; answered once one has taken it',
  request: {
    headers: z.object({
      'idempotency-key': idempotencyKeySchema
        .optional()
        .describe('asking again under the same key gives the run that the first request made'),
    }),
    body: body(submission),
  },
  responses: makes(remoteRunSchema, 'The run, placed, or as it stands where the key was used before'),
})

const ask = createRoute({
  method: 'post',
  path: '/remote-runs/ask',
  summary: 'Who would take a run, within which limits, and who not and why; nothing comes of it',
  request: { body: body(submission) },
  responses: tells(askedPlacesSchema, 'The best place first'),
})

const list = createRoute({
  method: 'get',
  path: '/remote-runs',
  summary: 'The runs of this node at other members',
  request: { query: z.strictObject({ limit: z.coerce.number().int().min(1).max(1_000).default(100) }) },
  responses: tells(z.array(remoteRunSchema), 'Newest first'),
})

const show = createRoute({
  method: 'get',
  path: '/remote-runs/{id}',
  summary: 'One run at another member, and whether its results are here',
  request: { params: idParam },
  responses: tells(remoteRunSchema, 'The run'),
})

const cancel = createRoute({
  method: 'post',
  path: '/remote-runs/{id}/cancel',
  summary: 'Tell the host to stop a run, now or as soon as it is reached',
  request: { params: idParam },
  responses: tells(remoteRunSchema, 'The run as it stands after the request'),
})

const logs = createRoute({
  method: 'get',
  path: '/remote-runs/{id}/logs',
  summary: 'What the tools printed, as far as the host shows it; with follow, until the run ends',
  request: {
    params: idParam,
    query: z.strictObject({
      from: z.coerce.number().int().min(0).default(0).describe('the first byte that is wanted'),
      follow: flag,
    }),
  },
  responses: streams('text/plain', 'The text, as it comes'),
})

export function remoteRunRoutes(node: ApiNode, parts: { stopping: AbortSignal; log: Logger }): OpenAPIHono {
  const routes = newRoutes()
  const view = async (id: string): Promise<RemoteRunView> => {
    const { remote } = node.federation
    return remoteRunView(await remote.shown(remote.runs.get(id)))
  }
  routes.openapi(ask, async (c) => {
    const asked = await node.federation.remote.runs.ask(withoutUndefined(c.req.valid('json')))
    return c.json(askedPlacesSchema.parse(asked), 200)
  })
  routes.openapi(submit, async (c) => {
    const key = c.req.valid('header')['idempotency-key']
    const asked = withoutUndefined({ ...c.req.valid('json'), key })
    const { id } = await node.federation.remote.runs.submit(asked)
    return c.json(await view(id), 201)
  })
  routes.openapi(list, async (c) => {
    const runs = node.federation.remote.runs.list().slice(-c.req.valid('query').limit).reverse()
    return c.json(seenBy(c, await Promise.all(runs.map(({ id }) => view(id)))), 200)
  })
  routes.openapi(show, async (c) => c.json(seenBy(c, await view(c.req.valid('param').id)), 200))
  routes.openapi(cancel, async (c) => {
    const { id } = c.req.valid('param')
    await node.federation.remote.runs.cancel(id)
    return c.json(await view(id), 200)
  })
  routes.openapi(logs, async (c) => {
    const { id } = c.req.valid('param')
    const { from, follow } = c.req.valid('query')
    const { runs } = node.federation.remote
    // Asked here, so that what is not there is a problem and not a stream that breaks.
    const { bytes, complete } = await runs.logState(id)
    const gone = new AbortController()
    const content = runs.logs(id, { from, follow, signal: gone.signal })
    return c.body(
      liveBytes({ content, gone, mayStay: c.get('mayStay'), ...parts }),
      200,
      logHeaders({ from, bytes, complete }),
    )
  })
  return routes
}
