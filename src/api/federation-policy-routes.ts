import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { idOf, policySchema } from '../federation/federation-policy.ts'
import type { ApiNode } from './api-node.ts'
import { policyViewSchema } from './federation-views.ts'
import { body, makes, newRoutes, tells, withoutUndefined } from './routing.ts'

const show = createRoute({
  method: 'get',
  path: '/federation/policy',
  summary: 'The policy in force, and the changes that operators have proposed',
  responses: tells(policyViewSchema, 'The policy'),
})

const propose = createRoute({
  method: 'post',
  path: '/federation/policy/proposals',
  summary:
    'Propose a change of the policy, as an operator; it is in force when enough operators have endorsed it',
  request: {
    // The schema's own default would say more than was said.
    body: body(policySchema.extend({ newcomers: policySchema.shape.newcomers.unwrap() }).partial()),
  },
  responses: makes(policyViewSchema, 'The policy, with the proposal or changed already'),
})

const endorse = createRoute({
  method: 'post',
  path: '/federation/policy/endorse',
  summary: 'Endorse a proposed change of the policy, as an operator',
  request: { body: body(z.strictObject({ id: z.string().min(1).max(64).optional() })) },
  responses: tells(policyViewSchema, 'The policy'),
})

export function federationPolicyRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  const view = (): z.output<typeof policyViewSchema> => {
    const { genesis, members, membership } = node.federation
    const { sequence, policy, needed, proposals } = membership.policies.state()
    const named = proposals.map(({ policy: proposed, endorsedBy }) => {
      const names = endorsedBy.map((peer) => members.get(peer)?.name ?? peer)
      return { id: idOf(proposed), policy: proposed, endorsedBy: names }
    })
    return { sequence, policy, needed, private: genesis.private, proposals: named }
  }
  routes.openapi(show, (c) => c.json(view(), 200))
  routes.openapi(propose, async (c) => {
    await node.federation.membership.policies.propose(withoutUndefined(c.req.valid('json')))
    return c.json(view(), 201)
  })
  routes.openapi(endorse, async (c) => {
    await node.federation.membership.policies.endorse(c.req.valid('json').id)
    return c.json(view(), 200)
  })
  return routes
}
