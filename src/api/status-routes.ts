import { statfs } from 'node:fs/promises'
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { isEnded, type Run } from '../execution/runs/run.ts'
import { VERSION } from '../node.ts'
import type { ApiNode, ApiRooms } from './api-node.ts'
import { ownView } from './federation-request-routes.ts'
import { peersView } from './peer-routes.ts'
import { newRoutes, tells } from './routing.ts'
import { type Overview, overviewSchema } from './status-views.ts'

/** How many of a kind are told by name; the lists of their nouns have all. */
const TOLD_MAX = 5
/** Ends that need nobody's eye. */
const FINE = new Set<Run['state']>(['succeeded', 'cancelled'])

const status = createRoute({
  method: 'get',
  path: '/status',
  summary: 'The whole node in one look, cheap enough to be asked every few seconds',
  responses: tells(overviewSchema, 'How things are'),
})

export function statusRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  const startedMs = Date.now()
  routes.openapi(status, async (c) => c.json(await overviewOf(node, startedMs), 200))
  return routes
}

/** The whole node in one look. */
export async function overviewOf(node: ApiNode, startedMs: number): Promise<Overview> {
  const rooms = node.hasFederation ? node.federation : undefined
  return overviewSchema.parse({
    node: {
      name: node.name,
      peer: node.peerId,
      version: VERSION,
      startedMs,
      nowMs: Date.now(),
      connectedPeers: node.connectedPeers().length,
      reachability: node.reachability(),
    },
    federation: rooms === undefined ? null : federationOf(node, rooms),
    request: rooms === undefined && node.entrance.petition !== undefined ? ownView(node) : null,
    disk: await diskOf(node),
    work: rooms === undefined ? null : await workOf(node, rooms),
  })
}

function federationOf(node: ApiNode, { genesis, members, presences }: ApiRooms): Overview['federation'] {
  const all = members.list()
  const online = all.filter(({ peer }) => peer === node.peerId || presences.seen(peer).online).length
  const role = members.get(node.peerId)?.role ?? null
  const former = members.former(node.peerId)
  const ended = former === undefined ? {} : { ended: { reason: former.reason, endedMs: former.endedMs } }
  return { id: genesis.federation, name: genesis.name, role, ...ended, members: all.length, online }
}

async function diskOf({ config }: ApiNode): Promise<Overview['disk']> {
  const { bavail, blocks, bsize } = await statfs(config.dataDirectory)
  const keptBytes = config.datasets.freeBytesMin
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, keptBytes }
}

async function workOf(node: ApiNode, rooms: ApiRooms): Promise<Overview['work']> {
  const { digest, records, same, differing, unknown } = peersView(node)
  const { execution, datasets, consensus, members } = rooms
  const known = datasets.list()
  const behind = known.filter(({ followed, replicated }) => followed && !replicated).map(({ name }) => name)
  const rounds = consensus.rounds().filter(({ state }) => state === 'open' || state === 'closed')
  const deliveries = execution.notifications.deliveries.list()
  const inState = (wanted: string) => deliveries.filter(({ state }) => state === wanted).length
  const spikes = execution.spikes
    .list()
    .map(({ value, entry }) => ({
      tool: value.tool,
      member: members.get(entry.author)?.name ?? value.node,
      timeMs: value.timeMs,
    }))
    .sort((a, b) => b.timeMs - a.timeMs)
  const engines = await execution.engines.states()
  return {
    registry: { digest, records, same, differing, unknown },
    datasets: {
      count: known.length,
      behind,
      agreed: known.filter(({ truth }) => truth !== undefined).length,
    },
    runs: runsOf(execution.runs()),
    schedules: schedulesOf(execution.timetable.list()),
    rounds: { open: rounds.map(({ id }) => id) },
    notifications: {
      spikes: spikes.slice(0, TOLD_MAX),
      waiting: inState('waiting'),
      givenUp: inState('given-up'),
    },
    engines: engines.map(({ id, up, problem }) => ({
      id,
      up,
      ...(problem === undefined ? {} : { problem }),
    })),
  }
}

type Work = NonNullable<Overview['work']>

function runsOf(runs: readonly Run[]): Work['runs'] {
  const newest = runs.toReversed()
  const running = newest.filter((run) => !isEnded(run) && run.state !== 'queued')
  const failed = newest.filter((run) => isEnded(run) && !FINE.has(run.state))
  return {
    running: running.slice(0, TOLD_MAX).map(({ id, pipeline, state }) => ({ id, pipeline, state })),
    queued: runs.filter(({ state }) => state === 'queued').length,
    failed: failed.slice(0, TOLD_MAX).map(({ id, pipeline, state, endedMs = 0, reason }) => {
      return { id, pipeline, state, endedMs, ...(reason === undefined ? {} : { reason }) }
    }),
  }
}

interface Scheduled {
  readonly pipeline: string
  readonly paused: boolean
  readonly nextMs?: number
  readonly lastProblem?: unknown
}

function schedulesOf(schedules: readonly Scheduled[]): Work['schedules'] {
  const next = schedules
    .flatMap(({ pipeline, nextMs }) => (nextMs === undefined ? [] : [{ pipeline, timeMs: nextMs }]))
    .sort((a, b) => a.timeMs - b.timeMs)[0]
  return {
    count: schedules.length,
    paused: schedules.filter(({ paused }) => paused).length,
    problems: schedules.filter(({ lastProblem }) => lastProblem !== undefined).length,
    ...(next === undefined ? {} : { next }),
  }
}
