import { z } from 'zod'
import { alarmQuietMaxMs } from '../base/limits.ts'
import { DAY_MS } from '../base/units.ts'
import { detectorSchema } from './detector.ts'
import type { Judgement } from './detectors/judgement.ts'

/** How a tool is watched: which rule judges it, and how long a spike that lasts is not told again. */
export const watchSchema = z.strictObject({
  detector: detectorSchema.optional(),
  quietMs: z.int().min(0).max(alarmQuietMaxMs).optional(),
})
export type WatchOptions = z.output<typeof watchSchema>

/** A spike that lasts is told once a day. */
export const QUIET_DEFAULT_MS = DAY_MS

/** The last spike of one series (a step's output by a tool) that was told. */
export interface Alarm {
  commit: string
  direction: 'up' | 'down'
  toldMs: number
}

export interface AlarmDecision {
  /** Whether people are told. */
  tell: boolean
  /** Why they are not. */
  why?: string
  /** What is remembered of the series from now on; undefined: nothing, the next spike is a new one. */
  alarm: Alarm | undefined
}

/**
 * Whether a judgement raises an alarm: a spike does, unless one in the same direction was told less than `quietMs` ago
 * and the series has not been steady since. The same commit, looked at again after a crash, is told again: who hears of
 * it knows by its id that it is the same. Pure.
 */
export function decideAlarm(p: {
  judgement: Judgement
  commit: string
  before: Alarm | undefined
  quietMs: number
  nowMs: number
}): AlarmDecision {
  const { judgement, commit, before, quietMs, nowMs } = p
  if (judgement.verdict === 'too-few-snapshots') return { tell: false, alarm: before }
  if (judgement.verdict === 'steady') return { tell: false, alarm: undefined }
  const direction = (judgement.difference ?? 0) < 0 ? 'down' : 'up'
  const lasts = before !== undefined && before.commit !== commit && before.direction === direction
  if (lasts && nowMs - before.toldMs < quietMs) {
    const at = new Date(before.toldMs).toISOString()
    return {
      tell: false,
      why: `a spike in the same direction was told at ${at}, and it has not been steady since`,
      alarm: before,
    }
  }
  return { tell: true, alarm: { commit, direction, toldMs: nowMs } }
}
