import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { NO_CALLS } from '../etcd/serve.ts'
import { VERSION } from '../node.ts'
import type { ApiNode, ApiRooms } from './api-node.ts'
import { diagnosisSchema, machineChecks, type NodeFacts, nodeChecks } from './doctor-checks.ts'
import { machineFacts } from './doctor-facts.ts'
import { peersView } from './peer-routes.ts'
import { newRoutes, tells } from './routing.ts'
import { overviewOf } from './status-routes.ts'

const doctor = createRoute({
  method: 'get',
  path: '/doctor',
  summary: 'Looks at the node and its surroundings, and says what is not as it should be and what to do',
  responses: tells(diagnosisSchema, 'Each thing with a verdict'),
})

export function doctorRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  const startedMs = Date.now()
  routes.openapi(doctor, async (c) => {
    const overview = await overviewOf(node, startedMs)
    const rooms = node.hasFederation ? node.federation : undefined
    const machine = machineChecks(await machineFacts(node.config, process.env), node.config)
    const facts: NodeFacts = {
      overview,
      nowMs: Date.now(),
      ...(rooms === undefined ? LONELY : factsOf(node, rooms)),
    }
    return c.json({ version: VERSION, checks: [...nodeChecks(facts), ...machine] }, 200)
  })
  return routes
}

type OfRooms = Pick<NodeFacts, 'saidMs' | 'fromFuture' | 'peers' | 'etcd' | 'etcdPort'>

/** A node without a federation has nobody to compare itself with. */
const LONELY: OfRooms = { saidMs: [], fromFuture: 0, peers: [], etcd: 'never', etcdPort: 0 }

function factsOf(node: ApiNode, { presences, meters }: ApiRooms): OfRooms {
  const others = peersView(node).peers.filter(({ name }) => name !== undefined)
  const { serve, port } = node.config.etcd
  return {
    saidMs: others.flatMap(({ name = '', connected, lastSeenMs }) =>
      connected && lastSeenMs !== undefined ? [{ name, timeMs: lastSeenMs }] : [],
    ),
    fromFuture: meters?.verdicts?.get('FUTURE') ?? 0,
    peers: others.map(({ peer, name = '', connected, registry }) => ({
      name,
      connected,
      online: presences.seen(peer).online,
      differsSinceMs: registry.state === 'differs' ? registry.sinceMs : undefined,
    })),
    etcd: serve === 'never' ? 'never' : meters?.etcdCalls === NO_CALLS ? 'not-served' : 'served',
    etcdPort: port,
  }
}
