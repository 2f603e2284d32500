import { z } from 'zod'

const version = z.object({ commit: z.string(), tree: z.string() })

export const comparisonSchema = z
  .object({
    run: z.string().describe('the rerun'),
    of: z.string().describe('the run that it did again'),
    state: z.string(),
    reason: z.string().optional(),
    same: z.boolean().describe('every step came out with the same tree, byte for byte'),
    steps: z.array(
      z.object({
        step: z.string(),
        dataset: z.string(),
        before: version,
        after: version.optional(),
        same: z.boolean(),
        changes: z.array(z.object({ path: z.string(), change: z.enum(['added', 'removed', 'changed']) })),
        changesTotal: z.int(),
      }),
    ),
  })
  .meta({ id: 'RunComparison' })
export type ComparisonView = z.output<typeof comparisonSchema>
