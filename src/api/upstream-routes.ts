import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import type { ApiNode } from './api-node.ts'
import { body, isDone, namedParam, newRoutes, tells, withoutUndefined } from './routing.ts'
import {
  hostKeysSchema,
  publicKeySchema,
  pulledSchema,
  pushedSchema,
  upstreamFollowSchema,
  upstreamNameSchema,
  upstreamPullSchema,
  upstreamPushSchema,
  upstreamSchema,
  upstreamTrustSchema,
} from './upstream-views.ts'

const show = createRoute({
  method: 'get',
  path: '/datasets/{name}/upstream',
  summary: 'The git repository elsewhere that a dataset names, and how the last calls to it ended',
  request: {
    params: namedParam,
    query: z.strictObject({
      resolve: z
        .enum(['true', 'false'])
        .default('false')
        .describe("also ask what the host's name stands for"),
    }),
  },
  responses: tells(upstreamSchema, 'The upstream'),
})

const set = createRoute({
  method: 'put',
  path: '/datasets/{name}/upstream',
  summary: "Name the upstream in the dataset's record, and agree to calls to it",
  request: { params: namedParam, body: body(upstreamNameSchema) },
  responses: tells(upstreamSchema, 'The upstream'),
})

const remove = createRoute({
  method: 'delete',
  path: '/datasets/{name}/upstream',
  summary: "Take the upstream out of the dataset's record, and forget what was agreed",
  request: { params: namedParam },
  responses: isDone('It is gone'),
})

const pull = createRoute({
  method: 'post',
  path: '/datasets/{name}/upstream/pull',
  summary: "Bring the upstream's branch onto this node's branch upstream-<node>",
  request: { params: namedParam, body: body(upstreamPullSchema) },
  responses: tells(pulledSchema, 'What came'),
})

const push = createRoute({
  method: 'post',
  path: '/datasets/{name}/upstream/push',
  summary: "Bring the ground truth to the upstream's branch, only forward",
  request: { params: namedParam, body: body(upstreamPushSchema) },
  responses: tells(pushedSchema, 'What went'),
})

const follow = createRoute({
  method: 'post',
  path: '/datasets/{name}/upstream/follow',
  summary: 'Pull from now on, again and again',
  request: { params: namedParam, body: body(upstreamFollowSchema) },
  responses: tells(upstreamSchema, 'The upstream'),
})

const unfollow = createRoute({
  method: 'post',
  path: '/datasets/{name}/upstream/unfollow',
  summary: 'Pull only when told to',
  request: { params: namedParam },
  responses: tells(upstreamSchema, 'The upstream'),
})

const trust = createRoute({
  method: 'post',
  path: '/datasets/{name}/upstream/trust',
  summary: "Tell the keys that the upstream's host shows, and trust one of them",
  request: { params: namedParam, body: body(upstreamTrustSchema) },
  responses: tells(hostKeysSchema, 'The keys, best first'),
})

const key = createRoute({
  method: 'get',
  path: '/upstream-key',
  summary: 'The public half of the key that this node shows to git hosts',
  responses: tells(publicKeySchema, 'The key'),
})

const makeKey = createRoute({
  method: 'post',
  path: '/upstream-key',
  summary: 'The same; a key is made where there is none',
  responses: tells(publicKeySchema, 'The key'),
})

export function upstreamRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  const upstreams = () => node.federation.datasets.upstreams

  routes.openapi(show, async (c) => {
    const resolve = c.req.valid('query').resolve === 'true'
    return c.json(await upstreams().show(c.req.valid('param').name, { resolve }), 200)
  })
  routes.openapi(set, async (c) => {
    return c.json(await upstreams().set(c.req.valid('param').name, c.req.valid('json')), 200)
  })
  routes.openapi(remove, async (c) => {
    await upstreams().remove(c.req.valid('param').name)
    return c.body(null, 204)
  })
  // Whoever hangs up wants no transfer any more; what was begun leaves no trace.
  routes.openapi(pull, async (c) => {
    const options = { ...withoutUndefined(c.req.valid('json')), signal: c.req.raw.signal }
    return c.json(await upstreams().pull(c.req.valid('param').name, options), 200)
  })
  routes.openapi(push, async (c) => {
    const options = { ...withoutUndefined(c.req.valid('json')), signal: c.req.raw.signal }
    return c.json(await upstreams().push(c.req.valid('param').name, options), 200)
  })
  routes.openapi(follow, async (c) => {
    const wish = withoutUndefined(c.req.valid('json'))
    return c.json(await upstreams().follow(c.req.valid('param').name, wish), 200)
  })
  routes.openapi(unfollow, async (c) => {
    return c.json(await upstreams().unfollow(c.req.valid('param').name), 200)
  })
  routes.openapi(trust, async (c) => {
    const { fingerprint } = c.req.valid('json')
    const { name } = c.req.valid('param')
    const keys = fingerprint === undefined ? upstreams().hostKeys(name) : upstreams().trust(name, fingerprint)
    return c.json(await keys, 200)
  })
  routes.openapi(key, async (c) => {
    const publicKey = await upstreams().publicKey()
    if (publicKey !== undefined) return c.json({ publicKey }, 200)
    const message = 'This node has no key for upstreams yet; "maoctl dataset upstream key" makes one'
    throw new NodeError('NOT_FOUND', message)
  })
  routes.openapi(makeKey, async (c) => c.json({ publicKey: await upstreams().makeKey() }, 200))
  return routes
}
