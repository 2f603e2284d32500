import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { ROLES } from '../federation/keyspace.ts'
import { REACHABLE } from '../federation/presence.ts'
import type { ApiNode } from './api-node.ts'
import { newRoutes, tells, withoutUndefined } from './routing.ts'

const timeMs = z.int().describe('milliseconds since 1970')

export const presenceViewSchema = z
  .object({
    peer: z.string(),
    name: z.string(),
    role: z.enum(ROLES),
    self: z.boolean(),
    online: z.boolean().describe('connected to this node, or said so lately'),
    connected: z.boolean().describe('whether this node has a connection to it now'),
    startedMs: timeMs.optional().describe('since when it runs, by its own clock'),
    lastSeenMs: timeMs.optional().describe('when it last said that it is there'),
    version: z.string().optional(),
    reachable: z.enum(REACHABLE).optional().describe('how others can reach it, as it says'),
    accepts: z.string().optional().describe('whose runs it takes, where it offers to take any'),
    addresses: z.array(z.string()),
  })
  .meta({ id: 'Presence' })
export type PresenceView = z.output<typeof presenceViewSchema>

const list = createRoute({
  method: 'get',
  path: '/presence',
  summary: 'Which members are there, since when, with what version and offers, and reachable how',
  responses: tells(z.array(presenceViewSchema), 'Sorted by name'),
})

export function presenceRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(list, (c) => c.json(presenceView(node), 200))
  return routes
}

export function presenceView(node: ApiNode): PresenceView[] {
  const { members, presences, remote } = node.federation
  const connected = new Set(node.connectedPeers())
  const offers = new Map(remote.candidates().map(({ peer, offer }) => [peer, offer?.accepts]))
  return members.list().map(({ peer, name, role }): PresenceView => {
    const { online, addresses, startedMs, lastSeenMs, version, reachable } = presences.seen(peer)
    const self = peer === node.peerId
    const accepts = offers.get(peer)
    const said = withoutUndefined({ startedMs, lastSeenMs, version, reachable, accepts })
    const here = self || connected.has(peer)
    return { peer, name, role, self, online, connected: here, addresses, ...said } as PresenceView
  })
}
