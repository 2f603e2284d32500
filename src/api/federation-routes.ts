import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { DAY_MS, invitationLifeMaxMs, MINUTE_MS } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import type { Genesis } from '../federation/genesis.ts'
import type { ApiNode } from './api-node.ts'
import { body, makes, newRoutes, tells, withoutUndefined } from './routing.ts'
import {
  type FederationView,
  federationSchema,
  invitationSchema,
  memberSchema,
  type Status,
  statusSchema,
} from './views.ts'

const showStatus = createRoute({
  method: 'get',
  path: '/federation',
  summary: 'This node, and its federation where it has one',
  responses: tells(statusSchema, 'The state'),
})

const create = createRoute({
  method: 'post',
  path: '/federation',
  summary: 'Found a federation with this node as its first operator',
  request: {
    body: body(z.strictObject({ name: nameSchema, description: z.string().max(2_000).default('') })),
  },
  responses: makes(federationSchema, 'The new federation'),
})

const LIFE_RULE = `an invitation is good for a minute to ${invitationLifeMaxMs / DAY_MS} days`

const invite = createRoute({
  method: 'post',
  path: '/federation/invitations',
  summary: 'Make a token with which one node may join once',
  request: {
    body: body(
      z.strictObject({
        lifeMs: z
          .int()
          .min(MINUTE_MS, LIFE_RULE)
          .max(invitationLifeMaxMs, LIFE_RULE)
          .optional()
          .describe('until it expires'),
      }),
    ),
  },
  responses: makes(invitationSchema, 'The invitation; its token is told only here'),
})

const join = createRoute({
  method: 'post',
  path: '/federation/join',
  summary: 'Join the federation that an invitation names',
  request: { body: body(z.strictObject({ token: z.string().min(1).max(16_384) })) },
  responses: makes(federationSchema, 'The federation joined'),
})

const listMembers = createRoute({
  method: 'get',
  path: '/federation/members',
  summary: 'The members of the federation',
  responses: tells(z.array(memberSchema), 'Sorted by name'),
})

export function federationRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(showStatus, (c) => c.json(statusOf(node), 200))
  routes.openapi(create, async (c) =>
    c.json(federationView(await node.createFederation(c.req.valid('json'))), 201),
  )
  routes.openapi(invite, async (c) => {
    return c.json(await node.invite(withoutUndefined(c.req.valid('json'))), 201)
  })
  routes.openapi(join, async (c) => c.json(federationView(await node.join(c.req.valid('json').token)), 201))
  routes.openapi(listMembers, (c) => {
    const { members } = node.federation
    const connected = new Set(node.connectedPeers())
    const views = members.list().map((member) => {
      const { peer, name, role, since } = member
      const self = peer === node.peerId
      return { peer, name, role, since, self, connected: self || connected.has(peer) }
    })
    return c.json(
      views.sort((a, b) => (a.name < b.name ? -1 : 1)),
      200,
    )
  })
  return routes
}

function statusOf(node: ApiNode): Status {
  const self = {
    name: node.name,
    peer: node.peerId,
    addresses: node.addresses(),
    connectedPeers: node.connectedPeers().length,
  }
  if (!node.hasFederation) return { node: self, federation: null }
  const { genesis, members } = node.federation
  // Between joining and the first catch-up our own admission may still be on its way.
  const role = members.get(node.peerId)?.role ?? null
  const federation = { ...federationView(genesis), members: members.list().length, role }
  return { node: self, federation }
}

function federationView({ federation: id, name, description, createdMs, founder }: Genesis): FederationView {
  return { id, name, description, createdMs, founder }
}
