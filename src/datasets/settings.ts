import { z } from 'zod'
import { DAY_MS, diskFreeBytesMin, HOUR_MS } from '../base/limits.ts'
import { MIB } from '../base/units.ts'

const GIB = 1_024 * MIB

/** A word of a commit's author line, which ends at a line break or an angle bracket. */
const authorText = z
  .string()
  .trim()
  .max(200)
  .regex(/^[^<>\p{Cc}]*$/u, 'has a bracket or a line break')
  .default('')

/** The part of the node's settings that is about datasets. */
export const datasetsSettingsSchema = z.strictObject({
  follow: z
    .enum(['all', 'chosen', 'none'])
    .default('all')
    .describe('which datasets of the federation this node copies; chosen: those named with "dataset follow"'),
  quotaBytes: z
    .int()
    .min(0)
    .default(50 * GIB)
    .describe('disk space of one dataset on this node; 0: no bound'),
  totalBytes: z
    .int()
    .min(0)
    .default(0)
    .describe('disk space of all datasets of this node together; 0: no bound but the disk'),
  freeBytesMin: z
    .int()
    .min(0)
    .default(diskFreeBytesMin)
    .describe('disk space that datasets leave free: nothing is fetched, imported or checked out below it'),
  checkoutBytesMax: z
    .int()
    .min(0)
    .default(20 * GIB)
    .describe('disk space of the trees that runs share as inputs; what nobody uses goes first'),
  gcIntervalMs: z
    .int()
    .min(HOUR_MS)
    .default(DAY_MS)
    .describe('how often each dataset is packed and cleared of what nothing leads to'),
  pruneAfterMs: z
    .int()
    .min(HOUR_MS)
    .default(14 * DAY_MS)
    .describe('how long what nothing leads to is kept'),
  author: z
    .strictObject({
      name: authorText.describe("whose name stands in this node's commits; empty: the node's"),
      email: authorText.describe("whose address stands there, for all members to read; empty: the node's id"),
    })
    .prefault({}),
})
export type DatasetsSettings = z.output<typeof datasetsSettingsSchema>
