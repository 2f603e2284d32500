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

/** JSON-LD as RO-Crate 1.1 has it: flat, every entity with its id and type. */
export const crateSchema = z
  .object({
    '@context': z.array(z.string()),
    '@graph': z.array(
      z.looseObject({ '@id': z.string(), '@type': z.union([z.string(), z.array(z.string())]) }),
    ),
  })
  .meta({ id: 'Crate', description: 'the ro-crate-metadata.json of a run' })

export const provSchema = z
  .object({ prefix: z.record(z.string(), z.string()) })
  .catchall(z.record(z.string(), z.unknown()))
  .meta({ id: 'Prov', description: 'a PROV-JSON document: kind of statement, its id, its attributes' })
