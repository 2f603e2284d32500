import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { AUDIENCES, isInForce } from '../datasets/access.ts'
import type { ApiNode } from './api-node.ts'
import { namedParam, newRoutes, tells } from './routing.ts'

const timeMs = z.int().nonnegative().describe('milliseconds since 1970')

export const accessViewSchema = z
  .object({
    dataset: z.string(),
    founder: z.string().describe('name of the member that founded it, which needs no grant'),
    read: z.enum(AUDIENCES).describe('members: every member may have it; granted: only who has a grant'),
    vote: z.enum(AUDIENCES),
    mayRead: z.boolean().describe('whether this node may have it'),
    grants: z.array(
      z.object({
        member: z.string(),
        peer: z.string(),
        read: z.boolean(),
        vote: z.boolean(),
        since: timeMs,
        until: timeMs.optional(),
        by: z.string().describe('name of who granted it'),
        inForce: z.boolean(),
      }),
    ),
  })
  .meta({ id: 'DatasetAccess' })
export type AccessView = z.output<typeof accessViewSchema>

const path = '/datasets/{name}/access'
const responses = tells(accessViewSchema, 'Who may have the dataset, and who votes on it')
const json = <S extends z.ZodType>(schema: S) => ({
  content: { 'application/json': { schema } },
  required: true as const,
})

const show = createRoute({
  method: 'get',
  path,
  summary: 'Who may have a dataset, and who votes on it',
  request: { params: namedParam },
  responses,
})

const set = createRoute({
  method: 'put',
  path,
  summary: 'Say whether every member may have a dataset and vote on it, or only those with a grant',
  request: {
    params: namedParam,
    body: json(z.strictObject({ read: z.enum(AUDIENCES).optional(), vote: z.enum(AUDIENCES).optional() })),
  },
  responses,
})

const grant = createRoute({
  method: 'post',
  path: `${path}/grants`,
  summary: 'Grant a member to have a dataset, to vote on it, or both, as its founder or as an operator',
  request: {
    params: namedParam,
    body: json(
      z.strictObject({
        member: z.string().min(1).max(100).describe('name or peer id'),
        read: z.boolean().default(true),
        vote: z.boolean().default(false).describe('who votes reads as well'),
        until: timeMs.optional().describe('when it ends by itself'),
      }),
    ),
  },
  responses,
})

const revoke = createRoute({
  method: 'delete',
  path: `${path}/grants/{member}`,
  summary: 'End a grant now; transfers under way are cut, what was fetched stays where it is',
  request: { params: namedParam.extend({ member: z.string().min(1).max(100) }) },
  responses,
})

/** Who may have which dataset, and who votes on it. */
export function grantRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()

  routes.openapi(show, (c) => c.json(viewOf(node, c.req.valid('param').name), 200))

  routes.openapi(set, async (c) => {
    const { name } = c.req.valid('param')
    const { read, vote } = c.req.valid('json')
    const { datasets } = node.federation
    const access = accessOf(node)
    const wanted = { ...(read === undefined ? {} : { read }), ...(vote === undefined ? {} : { vote }) }
    access.demandSay(name)
    await datasets.edit(name, { access: access.changed(access.facts(name)?.access, wanted) })
    return c.json(viewOf(node, name), 200)
  })

  routes.openapi(grant, async (c) => {
    const { name } = c.req.valid('param')
    const { member, read, vote, until } = c.req.valid('json')
    const granting = { read: read || vote, vote, ...(until === undefined ? {} : { until }) }
    await accessOf(node).grant(name, peerOf(node, member), granting)
    return c.json(viewOf(node, name), 200)
  })

  routes.openapi(revoke, async (c) => {
    const { name, member } = c.req.valid('param')
    await accessOf(node).revoke(name, peerOf(node, member))
    return c.json(viewOf(node, name), 200)
  })
  return routes
}

function accessOf(node: ApiNode) {
  const { access } = node.federation
  if (access === undefined)
    throw new NodeError('INTERNAL', 'This node does not tell who may have its datasets')
  return access
}

/** The peer id of a member that is called by its name or by that id; former members have none but their id. */
function peerOf(node: ApiNode, member: string): string {
  const { members } = node.federation
  return members.list().find(({ name }) => name === member)?.peer ?? member
}

function viewOf(node: ApiNode, name: string): AccessView {
  const { members } = node.federation
  const access = accessOf(node)
  const facts = access.facts(name)
  if (facts === undefined) {
    throw new NodeError('DATASET_NOT_FOUND', `No dataset that members share is named ${name}`, { name })
  }
  const nameOf = (peer: string) => members.get(peer)?.name ?? peer
  const grants = [...facts.grants.values()].map(({ peer, read, vote, since, until, author }) => ({
    ...{ member: nameOf(peer), peer, read, vote, since, by: nameOf(author) },
    ...(until === undefined ? {} : { until }),
    inForce: isInForce({ since, until }, Date.now()) && members.get(peer) !== undefined,
  }))
  const { read = 'members', vote = 'members' } = facts.access ?? {}
  return {
    ...{ dataset: name, founder: nameOf(facts.founder), read, vote },
    mayRead: access.mayRead(node.peerId, name, node.federation.datasets.find(name)),
    grants: grants.sort((a, b) => (a.member < b.member ? -1 : 1)),
  }
}
