/** When and where a pipeline runs by itself: the record `/schedules/<pipeline>` (protocols/schedules.md §2). */
import { z } from 'zod'
import { messageOf, NodeError } from '../../base/errors.ts'
import {
  claimantsMax,
  jitterMaxMs,
  takeOverDefaultMs,
  takeOverMaxMs,
  takeOverMinMs,
} from '../../base/limits.ts'
import { nameSchema } from '../../base/names.ts'
import { nextSlot } from './slots.ts'

/**
 * Who runs a slot: every member for itself, as the predecessor's did, or one member for all, or so many different ones.
 */
export const scopeSchema = z.union([
  z.enum(['every-member', 'once']),
  z.strictObject({ k: z.int().min(1).max(claimantsMax) }),
])
export type Scope = z.output<typeof scopeSchema>

export const scheduleFields = {
  pipeline: nameSchema,
  cron: z.string().trim().min(1).max(200),
  timezone: z.string().min(1).max(100).optional(),
  /** A round on the results is opened after each slot and takes ballots for so long. */
  round: z.object({ windowMs: z.int().min(1_000) }).optional(),
  /** What becomes of a slot that comes while the run of an earlier one has not ended. */
  overlap: z.enum(['skip', 'queue']).optional(),
  /** Which of the slots run late that came while nobody looked. */
  missed: z.enum(['all', 'last', 'none']).optional(),
  /** Spreads the starts of one slot over so long. */
  jitterMs: z.int().min(0).max(jitterMaxMs).optional(),
  paused: z.boolean().optional(),
  scope: scopeSchema.optional(),
  /** A claimant that is silent for so long is replaced by another member. */
  takeOverMs: z.int().min(takeOverMinMs).max(takeOverMaxMs).optional(),
  priority: z.int().min(-100).max(100).optional(),
}

/** What `/schedules/<pipeline>` holds; all but the rule may be missing, as it is in records of earlier versions. */
export const scheduleSchema = z
  .object(scheduleFields)
  .refine(({ cron, timezone }) => problemOf(cron, timezone) === undefined, {
    error: 'the cron rule is not valid',
  })
export type Schedule = z.output<typeof scheduleSchema>

/** What a schedule means where it does not say so. */
export interface Terms {
  readonly overlap: 'skip' | 'queue'
  readonly missed: 'all' | 'last' | 'none'
  readonly jitterMs: number
  readonly paused: boolean
  readonly scope: Scope
  readonly takeOverMs: number
}

/**
 * A slot that overlaps is skipped unless the schedule says `queue`, as the predecessor's scheduler did it: a tool that
 * takes longer than its rule would otherwise fall behind for good, and its results bear times that are long past.
 */
export function termsOf(schedule: Schedule): Terms {
  const { overlap = 'skip', missed = 'last', jitterMs = 0, paused = false } = schedule
  const { scope = 'every-member', takeOverMs = takeOverDefaultMs } = schedule
  return { overlap, missed, jitterMs, paused, scope, takeOverMs }
}

/** How many members run a slot; undefined when each does. */
export function runnersOf({ scope = 'every-member' }: Pick<Schedule, 'scope'>): number | undefined {
  if (scope === 'every-member') return undefined
  return scope === 'once' ? 1 : scope.k
}

/** @throws NodeError INVALID_CRON with an example of a rule that is valid. */
export function checkCron(cron: string, timezone?: string): void {
  const problem = problemOf(cron, timezone)
  if (problem === undefined) return
  const message = `"${cron}"${timezone === undefined ? '' : ` in ${timezone}`} is no time to run at: ${problem}. For example "0 3 * * *" is every night at three, "*/15 * * * *" every quarter of an hour; a time zone is named like Europe/Zurich`
  throw new NodeError('INVALID_CRON', message, { cron, ...(timezone === undefined ? {} : { timezone }) })
}

function problemOf(cron: string, timezone: string | undefined): string | undefined {
  try {
    const never =
      nextSlot({ cron, ...(timezone === undefined ? {} : { timezone }) }, Date.now()) === undefined
    return never ? 'it never comes' : undefined
  } catch (error) {
    const unknownZone = messageOf(error).includes('timezone')
    return unknownZone ? `no time zone is named ${timezone}` : messageOf(error).replace(/^Cron\w+: |\.$/g, '')
  }
}
