import { z } from 'zod'
import { retryDelayMaxMs, SECOND_MS } from '../../base/limits.ts'

/** The part of execution's settings that is about trying again. */
export const retrySettings = {
  retriesMax: z
    .int()
    .min(0)
    .max(20)
    .default(5)
    .describe('times that a step is begun again after the machinery (engine, network, disk) failed it'),
  retryDelayMs: z
    .int()
    .min(10)
    .max(retryDelayMaxMs)
    .default(5 * SECOND_MS)
    .describe('wait before a step is begun again; each further wait is twice as long'),
}
