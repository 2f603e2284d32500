import { z } from 'zod'
import { HOUR_MS, timerMaxMs } from '../../base/limits.ts'

/** The part of execution's settings that is about the box of a step and the time of a run. */
export const boxSettings = {
  runTimeoutMs: z
    .int()
    .min(1_000)
    .max(timerMaxMs)
    .default(24 * HOUR_MS)
    .describe('longest time of one run, from its first start on, restarts of the node and retries included'),
  hostNetworkGranted: z
    .boolean()
    .default(false)
    .describe(
      "whether steps that ask for the machine's own network get it: they then reach all that it reaches",
    ),
  writableRootGranted: z
    .boolean()
    .default(false)
    .describe(
      'whether steps that ask for a root file system that they can write get one: what they write there is not measured',
    ),
}
