/** When a pipeline runs by itself. Croner reads the rule; nothing here waits. */
import { Cron } from 'croner'
import { z } from 'zod'
import { messageOf, NodeError } from '../../base/errors.ts'
import { nameSchema } from '../../base/names.ts'

/** Members in different places must come to the same slots, so a rule without a time zone is not meant locally. */
export const TIMEZONE_DEFAULT = 'UTC'

/** What `/schedules/<pipeline>` holds. */
export const scheduleSchema = z
  .object({
    pipeline: nameSchema,
    cron: z.string().trim().min(1).max(200),
    timezone: z.string().max(100).optional(),
    /** A round on the results is opened after each slot and takes ballots for so long. */
    round: z.object({ windowMs: z.int().min(1_000) }).optional(),
  })
  .refine(({ cron, timezone }) => problemOf(cron, timezone) === undefined, {
    error: 'the cron rule is not valid',
  })

export type Schedule = z.output<typeof scheduleSchema>

/** @throws NodeError INVALID_CRON with an example of a rule that is valid. */
export function checkCron(cron: string, timezone?: string): void {
  const problem = problemOf(cron, timezone)
  if (problem === undefined) return
  const message = `"${cron}"${timezone === undefined ? '' : ` in ${timezone}`} is no time to run at: ${problem}. For example "0 3 * * *" is every night at three, "*/15 * * * *" every quarter of an hour; a time zone is named like Europe/Zurich`
  throw new NodeError('INVALID_CRON', message, { cron, ...(timezone === undefined ? {} : { timezone }) })
}

/** The first slot after `afterMs`, ms since the epoch; undefined when none is left. */
export function nextSlot(schedule: Pick<Schedule, 'cron' | 'timezone'>, afterMs: number): number | undefined {
  return cronOf(schedule.cron, schedule.timezone).nextRun(new Date(afterMs))?.getTime()
}

/** The last slot up to and including `nowMs`. */
export function lastSlot(schedule: Pick<Schedule, 'cron' | 'timezone'>, nowMs: number): number | undefined {
  // Croner looks before its reference, so the slot that is just now is found from a millisecond later.
  return cronOf(schedule.cron, schedule.timezone)
    .previousRuns(1, new Date(nowMs + 1))[0]
    ?.getTime()
}

/**
 * The slot to run for now: the last one, unless it is not after `sinceMs` or lies further back than `lateMaxMs`. Of
 * several that were missed only the last counts.
 */
export function dueSlot(
  schedule: Pick<Schedule, 'cron' | 'timezone'>,
  p: { sinceMs: number; nowMs: number; lateMaxMs: number },
): number | undefined {
  const slot = lastSlot(schedule, p.nowMs)
  if (slot === undefined || slot <= p.sinceMs || p.nowMs - slot > p.lateMaxMs) return undefined
  return slot
}

function cronOf(cron: string, timezone: string | undefined): Cron {
  return new Cron(cron, { paused: true, timezone: timezone ?? TIMEZONE_DEFAULT })
}

function problemOf(cron: string, timezone: string | undefined): string | undefined {
  try {
    const never = cronOf(cron, timezone).nextRun() === null
    return never ? 'it never comes' : undefined
  } catch (error) {
    const unknownZone = messageOf(error).includes('timezone')
    return unknownZone ? `no time zone is named ${timezone}` : messageOf(error).replace(/^Cron\w+: |\.$/g, '')
  }
}
