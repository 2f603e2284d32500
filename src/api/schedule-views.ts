import { z } from 'zod'
import { claimantsMax, jitterMaxMs, takeOverMaxMs, takeOverMinMs } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'

/** What the API says of schedules, and hears of them. */
const timeMs = z.int().describe('milliseconds since 1970')

const scopeSchema = z
  .union([z.enum(['every-member', 'once']), z.strictObject({ k: z.int().min(1).max(claimantsMax) })])
  .describe('who runs a slot: every member for itself, one member for the federation, or k different ones')

const roundSchema = z
  .strictObject({ windowMs: z.int().min(1_000, 'a round takes ballots for a second or longer') })
  .describe('after each run, open a round on its results that takes ballots for so long')

export const newScheduleSchema = z.strictObject({
  pipeline: nameSchema,
  cron: z.string().min(1).max(200),
  timezone: z.string().min(1).max(100).optional().describe('IANA name; default: UTC'),
  round: roundSchema.optional(),
  overlap: z
    .enum(['skip', 'queue'])
    .optional()
    .describe(
      'a slot that comes while the run of an earlier one has not ended is passed over, or waits; default: skip',
    ),
  missed: z
    .enum(['all', 'last', 'none'])
    .optional()
    .describe(
      'which slots run late that came while the node was away, up to 18 hours and 24 of them; default: last',
    ),
  jitterMs: z
    .int()
    .min(0)
    .max(jitterMaxMs)
    .optional()
    .describe('spread the starts over so long: a delay that follows from slot and member; default: 0'),
  paused: z.boolean().optional(),
  scope: scopeSchema.optional(),
  takeOverMs: z
    .int()
    .min(takeOverMinMs)
    .max(takeOverMaxMs)
    .optional()
    .describe(
      'with scope once or k: another member takes over from one that is silent for so long; default: 60000',
    ),
  priority: z
    .int()
    .min(-100)
    .max(100)
    .optional()
    .describe('of its runs in the queue, higher first; default: 0'),
})

const problemSchema = z
  .object({
    slot: timeMs,
    timeMs: timeMs.describe('when it was noted'),
    kind: z.enum(['missed', 'overlap', 'refused']),
    code: z.string().optional(),
    reason: z.string(),
  })
  .describe('why a slot was not run here at its time, the last such one')

const sparedSchema = z
  .object({ slot: timeMs, timeMs, kind: z.enum(['proven']), reason: z.string() })
  .describe('the last slot that was left to a member whose result is enough; no problem')

export const scheduleViewSchema = z
  .object({
    pipeline: z.string(),
    cron: z.string(),
    timezone: z.string().optional(),
    round: z.object({ windowMs: z.int() }).optional(),
    overlap: z.enum(['skip', 'queue']),
    missed: z.enum(['all', 'last', 'none']),
    jitterMs: z.int(),
    paused: z.boolean(),
    scope: z.union([z.enum(['every-member', 'once']), z.object({ k: z.int() })]),
    takeOverMs: z.int(),
    priority: z.int().optional(),
    nextMs: timeMs.optional().describe('the next slot; none while it is paused'),
    lastProblem: problemSchema.optional(),
    lastSpared: sparedSchema.optional(),
  })
  .meta({ id: 'Schedule' })

const claimSchema = z.object({
  peer: z.string(),
  name: z.string().describe("the member's name"),
  state: z.enum(['claimed', 'running', 'done', 'failed']),
  end: z
    .string()
    .optional()
    .describe('how it failed; rejected, errored and lost give the slot to the next in rank'),
  run: z.string().optional().describe("the run on the claimant's node"),
  identity: z.string().optional().describe('what the run stands for, whoever does it'),
  timeMs: timeMs.describe('when the claimant said so last'),
  counts: z.boolean().describe('whether its run counts for the slot'),
})

export const scheduleDetailsSchema = scheduleViewSchema
  .extend({
    next: z.array(timeMs).describe('the next three slots'),
    runs: z
      .array(
        z.object({
          id: z.string(),
          slot: timeMs,
          state: z.string(),
          reason: z.string().optional(),
          code: z.string().optional(),
          createdMs: timeMs,
          endedMs: timeMs.optional(),
        }),
      )
      .describe("this node's last runs for it, newest first"),
    slots: z
      .array(z.object({ slot: timeMs, claims: z.array(claimSchema) }))
      .describe('the last slots that members claimed, newest first; claims by rank'),
    nextInLine: z
      .array(z.string())
      .optional()
      .describe('who is to run the next slot as things are now, in order'),
  })
  .meta({ id: 'ScheduleDetails' })

export type ScheduleView = z.output<typeof scheduleViewSchema>
export type ScheduleDetails = z.output<typeof scheduleDetailsSchema>
