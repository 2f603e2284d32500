import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { reasonLengthMax } from '../base/limits.ts'
import { ROLES } from '../federation/keyspace.ts'
import type { Member } from '../federation/members.ts'
import type { ApiNode } from './api-node.ts'
import {
  federationSchema,
  federationView,
  formerMemberSchema,
  memberSchema,
  newFederationSchema,
} from './federation-views.ts'
import { body, makes, newRoutes, tells, withoutUndefined } from './routing.ts'
import { type Status, statusSchema } from './views.ts'

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
  request: { body: body(newFederationSchema) },
  responses: makes(federationSchema, 'The new federation'),
})

const join = createRoute({
  method: 'post',
  path: '/federation/join',
  summary: 'Join the federation that an invitation names',
  request: { body: body(z.strictObject({ token: z.string().min(1).max(16_384) })) },
  responses: makes(federationSchema, 'The federation joined'),
})

const leave = createRoute({
  method: 'post',
  path: '/federation/leave',
  summary: 'Leave the federation; what this node holds stays on it',
  request: {
    body: body(
      z.strictObject({
        reason: z.string().max(400).default(''),
        force: z.boolean().default(false).describe('leave also when no operator can be told'),
      }),
    ),
  },
  responses: tells(federationSchema, 'The federation left'),
})

const listMembers = createRoute({
  method: 'get',
  path: '/federation/members',
  summary: 'The members of the federation',
  responses: tells(z.array(memberSchema), 'Sorted by name'),
})

const listFormer = createRoute({
  method: 'get',
  path: '/federation/former-members',
  summary: 'Memberships that are over',
  responses: tells(z.array(formerMemberSchema), 'The latest first'),
})

const memberParam = z.object({ member: z.string().min(1).max(100).describe('name or peer id') })

const setRole = createRoute({
  method: 'put',
  path: '/federation/members/{member}/role',
  summary: 'Change what a member may do, or when its membership ends, as an operator',
  request: {
    params: memberParam,
    body: body(
      z.strictObject({
        role: z.enum(ROLES),
        until: z.int().nullable().optional().describe('ms since 1970; null: no end'),
      }),
    ),
  },
  responses: tells(memberSchema, 'The member'),
})

const remove = createRoute({
  method: 'post',
  path: '/federation/members/{member}/remove',
  summary: 'End a membership everywhere, as an operator',
  request: {
    params: memberParam,
    body: body(z.strictObject({ reason: z.string().max(reasonLengthMax).default('') })),
  },
  responses: tells(formerMemberSchema, 'The former member'),
})

export function federationRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(showStatus, (c) => c.json(statusOf(node), 200))
  routes.openapi(create, async (c) => {
    const { join: joining, newcomers, operatorsNeeded, private: isPrivate, ...wanted } = c.req.valid('json')
    const said = newcomers === undefined ? {} : { newcomers }
    const policy = { join: joining, ...said, operatorsNeeded, private: isPrivate }
    return c.json(federationView(await node.createFederation({ ...wanted, policy })), 201)
  })
  routes.openapi(join, async (c) => c.json(federationView(await node.join(c.req.valid('json').token)), 201))
  routes.openapi(leave, async (c) => {
    return c.json(federationView(await node.entrance.leave(c.req.valid('json'))), 200)
  })
  routes.openapi(listMembers, (c) => {
    return c.json(
      node.federation.members.list().map((member) => memberView(node, member)),
      200,
    )
  })
  routes.openapi(listFormer, (c) => c.json(node.federation.members.formerList(), 200))
  routes.openapi(setRole, async (c) => {
    const { members } = node.federation
    const { role, ...options } = c.req.valid('json')
    const { peer } = memberCalled(node, c.req.valid('param').member)
    return c.json(memberView(node, await members.setRole(peer, role, withoutUndefined(options))), 200)
  })
  routes.openapi(remove, async (c) => {
    const { members } = node.federation
    const member = memberCalled(node, c.req.valid('param').member)
    const { reason } = c.req.valid('json')
    await members.remove(member.peer, reason)
    const { peer, name, role } = member
    return c.json(members.former(peer) ?? { peer, name, role, reason, endedMs: Date.now() }, 200)
  })
  return routes
}

/** @throws NodeError MEMBER_NOT_FOUND */
function memberCalled(node: ApiNode, wanted: string): Member {
  const list = node.federation.members.list()
  const member = list.find(({ name, peer }) => name === wanted || peer === wanted)
  if (member !== undefined) return member
  const names = list.map(({ name }) => name).join(', ')
  throw new NodeError('MEMBER_NOT_FOUND', `No member is called ${wanted}; there are ${names}`, { wanted })
}

function memberView(node: ApiNode, member: Member): z.output<typeof memberSchema> {
  const { peer, name, role, since, until } = member
  const self = peer === node.peerId
  const connected = self || node.connectedPeers().includes(peer)
  return { peer, name, role, since, ...(until === undefined ? {} : { until }), self, connected }
}

function statusOf(node: ApiNode): Status {
  const self = {
    name: node.name,
    peer: node.peerId,
    addresses: node.addresses(),
    connectedPeers: node.connectedPeers().length,
  }
  if (!node.hasFederation) return { node: self, federation: null }
  const { genesis, members, membership } = node.federation
  // Between joining and the first catch-up our own admission may still be on its way.
  const role = members.get(node.peerId)?.role ?? null
  const former = members.former(node.peerId)
  const ended = former === undefined ? {} : { ended: { reason: former.reason, endedMs: former.endedMs } }
  const { policy } = membership.policies.state()
  const federation = { ...federationView(genesis), members: members.list().length, role, policy, ...ended }
  return { node: self, federation }
}
