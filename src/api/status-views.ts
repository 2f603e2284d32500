import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import { ROLES } from '../federation/keyspace.ts'
import { REACHABLE } from '../federation/presence.ts'
import { endedSchema, petitionSchema } from './federation-views.ts'

/** What `GET /status` says: one cheap look over the whole node. */
const timeMs = z.int().describe('milliseconds since 1970')
const count = z.int().min(0)

export const reachabilitySchema = z
  .object({
    status: z.enum(REACHABLE),
    words: z.string().describe('whether and how others can reach this node, in a sentence'),
    advice: z.array(z.string()).describe('what would make it better reachable'),
    addresses: z.array(z.string()),
    relays: z.array(z.string()),
  })
  .meta({ id: 'Reachability' })

const runOf = z.object({ id: z.string(), pipeline: z.string(), state: z.string() })

export const overviewSchema = z
  .object({
    node: z.object({
      name: nameSchema,
      peer: z.string(),
      version: z.string(),
      startedMs: timeMs.describe('since when its API answers'),
      nowMs: timeMs.describe('by its clock'),
      connectedPeers: count,
      reachability: reachabilitySchema,
    }),
    federation: z
      .object({
        id: z.string(),
        name: z.string(),
        role: z
          .enum(ROLES)
          .nullable()
          .describe('null until this node is admitted, and after its membership has ended'),
        ended: endedSchema.optional().describe("how this node's membership ended"),
        members: count,
        online: count.describe('members that are there, this node included'),
      })
      .nullable(),
    request: petitionSchema
      .nullable()
      .default(null)
      .describe('how the request of a node without a federation stands'),
    disk: z.object({
      freeBytes: count,
      totalBytes: count,
      keptBytes: count.describe('kept for the node itself; below it nothing large is taken in'),
    }),
    work: z
      .object({
        registry: z.object({
          digest: z.string(),
          records: count,
          same: count.describe('other members with the same registry'),
          differing: count,
          unknown: count,
        }),
        datasets: z.object({
          count,
          behind: z.array(z.string()).describe('followed, and not all that was announced is here'),
          agreed: count.describe('with a ground truth'),
        }),
        runs: z.object({
          running: z.array(runOf),
          queued: count,
          failed: z
            .array(runOf.extend({ endedMs: timeMs, reason: z.string().optional() }))
            .describe('the last that ended otherwise than well, newest first'),
        }),
        schedules: z.object({
          count,
          paused: count,
          next: z.object({ pipeline: z.string(), timeMs }).optional(),
          problems: count.describe('schedules whose last slot was not run at its time'),
        }),
        rounds: z.object({ open: z.array(z.string()).describe('ids of those that take ballots or votes') }),
        notifications: z.object({
          spikes: z.array(z.object({ tool: z.string(), member: z.string(), timeMs })),
          waiting: count.describe('messages that are still to be delivered'),
          givenUp: count,
        }),
        engines: z.array(z.object({ id: z.string(), up: z.boolean(), problem: z.string().optional() })),
      })
      .nullable()
      .describe('null without a federation'),
  })
  .meta({ id: 'Overview' })

export type Overview = z.output<typeof overviewSchema>
export type ReachabilityView = z.output<typeof reachabilitySchema>
