import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { reasonLengthMax } from '../base/limits.ts'
import { ROLES } from '../federation/keyspace.ts'
import type { Petition } from '../federation/petition.ts'
import type { PendingRequest } from '../federation/requests.ts'
import type { ApiNode } from './api-node.ts'
import { memberSchema, petitionSchema, requestSchema, wishSchema } from './federation-views.ts'
import { body, isDone, makes, newRoutes, tells, withoutUndefined } from './routing.ts'

const ask = createRoute({
  method: 'post',
  path: '/federation/request',
  summary: 'Ask a federation to admit this node; it asks again by itself until that is decided',
  request: { body: body(wishSchema) },
  responses: makes(petitionSchema, 'How it stands after the first try'),
})

const showOwn = createRoute({
  method: 'get',
  path: '/federation/request',
  summary: "How this node's own request stands",
  responses: tells(petitionSchema, 'The request'),
})

const withdraw = createRoute({
  method: 'delete',
  path: '/federation/request',
  summary: "Take this node's own request back",
  responses: isDone('It asks no more'),
})

const list = createRoute({
  method: 'get',
  path: '/federation/requests',
  summary: 'Who asks to be admitted, and who was denied',
  responses: tells(z.array(requestSchema), 'The oldest first'),
})

const params = z.object({ peer: z.string().min(1).max(100).describe('peer id, or the name of one of them') })

const approve = createRoute({
  method: 'post',
  path: '/federation/requests/{peer}/approve',
  summary: 'Admit who asks, as an operator',
  request: {
    params,
    body: body(z.strictObject({ role: z.enum(ROLES).optional(), until: z.int().optional() })),
  },
  responses: makes(memberSchema, 'The new member'),
})

const deny = createRoute({
  method: 'post',
  path: '/federation/requests/{peer}/deny',
  summary: 'Deny a request, as an operator; who asks is told the reason',
  request: {
    params,
    body: body(z.strictObject({ reason: z.string().max(reasonLengthMax).default('') })),
  },
  responses: tells(requestSchema, 'The request'),
})

export function membershipRequestRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(ask, async (c) => {
    await node.entrance.request(withoutUndefined(c.req.valid('json')))
    return c.json(ownView(node), 201)
  })
  routes.openapi(showOwn, (c) => c.json(ownView(node), 200))
  routes.openapi(withdraw, async (c) => {
    await node.entrance.withdraw()
    return c.body(null, 204)
  })
  routes.openapi(list, (c) => {
    const { requests } = node.federation.membership
    return c.json(
      requests.list().map((request) => requestView(node, request)),
      200,
    )
  })
  routes.openapi(approve, async (c) => {
    const { requests } = node.federation.membership
    const wanted = withoutUndefined(c.req.valid('json'))
    const member = await requests.approve(c.req.valid('param').peer, wanted)
    const connected = node.connectedPeers().includes(member.peer)
    return c.json({ ...member, connected, self: false }, 201)
  })
  routes.openapi(deny, async (c) => {
    const { requests } = node.federation.membership
    const denied = await requests.deny(c.req.valid('param').peer, c.req.valid('json').reason)
    return c.json(requestView(node, denied), 200)
  })
  return routes
}

function requestView(
  node: ApiNode,
  { by, disputedBy, ...request }: PendingRequest,
): z.output<typeof requestSchema> {
  const nameOf = (peer: string) => node.federation.members.get(peer)?.name ?? peer
  return { ...request, by: nameOf(by), disputedBy: disputedBy.map(nameOf) }
}

/** How this node's own request stands, or the place that it has got by now. */
export function ownView(node: ApiNode): z.output<typeof petitionSchema> {
  if (!node.hasFederation) {
    const petition = node.entrance.petition
    return petition === undefined ? { state: 'none', contacts: [] } : told(petition)
  }
  const { genesis, members } = node.federation
  const where = { federation: genesis.federation, federationName: genesis.name, contacts: [] }
  const former = members.former(node.peerId)
  if (former !== undefined)
    return { ...where, state: 'ended', reason: former.reason, endedMs: former.endedMs }
  const role = members.get(node.peerId)?.role
  return { ...where, state: 'approved', ...(role === undefined ? {} : { role }) }
}

/** Where it asks, and what it wrote, its owner knows. */
function told(petition: Petition): z.output<typeof petitionSchema> {
  const { addresses: _, message: __, contact: ___, asked: ____, ...view } = petition
  return view
}
