import { z } from 'zod'
import { DAY_MS, MINUTE_MS, timerMaxMs } from '../../base/limits.ts'

export const queueSettingsSchema = z
  .strictObject({
    waitMsMax: z
      .int()
      .min(1_000)
      .max(timerMaxMs)
      .default(7 * DAY_MS)
      .describe('longest time that a run waits in the queue, where whoever asks for it says nothing'),
    engineWaitMs: z
      .int()
      .min(0)
      .max(timerMaxMs)
      .default(10 * MINUTE_MS)
      .describe('how long a run waits for a container engine that does not answer'),
    agingMs: z
      .int()
      .min(1_000)
      .default(MINUTE_MS)
      .describe('waiting for so long raises the priority of a run by one'),
    runsPerOwner: z.int().min(1).max(64).default(64).describe('runs at once of one other member'),
    queuedPerOwner: z
      .int()
      .min(1)
      .max(1_000)
      .default(200)
      .describe('runs of one other member that may wait here'),
  })
  .prefault({})
  .describe('who waits for how long')

export type QueueSettings = z.output<typeof queueSettingsSchema>
