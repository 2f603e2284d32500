import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

const figure = z.number().nullable().optional()
const row = z.array(z.number())

const schema = z.object({
  agreement: z
    .array(
      z.object({
        name: z.string(),
        level: z.enum(['nominal', 'ordinal', 'interval']),
        /** One row for each unit, one rating for each rater; null where it is missing. */
        units: z.array(z.array(z.union([z.number(), z.string(), z.null()]))),
        digits: z.number(),
        expected: z.object({ percent: figure, fleissKappa: figure, krippendorffAlpha: figure }),
      }),
    )
    .min(1),
  dawidSkene: z
    .array(
      z.object({
        name: z.string(),
        /** One for each item: a digit for each rating, classes counted from 1. */
        items: z.array(z.string()),
        /** Whose rating the digit at each place is. */
        raters: row,
        classes: z.number(),
        labels: z.string(),
        shares: z.array(z.string()),
        logLikelihood: z.string(),
        /** Posteriors of the label, by item counted from 1; all others are 0.99 or above. */
        below99: z.record(z.string(), z.string()),
        /** Confusion matrices, by rater: one row for each class, the shares of each label given. */
        confusion: z.record(z.string(), z.array(z.array(z.string()))),
      }),
    )
    .min(1),
  /** How many iterations there may be at most. */
  iterations: z
    .array(z.object({ columns: z.number(), labels: z.number(), classes: z.number(), most: z.number() }))
    .min(1),
  exact: z
    .array(
      z.object({
        name: z.string(),
        raters: z.number(),
        classes: z.number(),
        /** For each label the rater's digit and the letter of the class. */
        items: z.array(z.string()),
        iterations: z.number(),
        converged: z.boolean(),
        labels: z.string(),
        /** In units of 2^-32. */
        posteriors: z.array(row),
      }),
    )
    .min(1),
})

export async function statisticsVectors(): Promise<z.infer<typeof schema>> {
  const path = join(import.meta.dirname, '../../protocols/vectors/statistics.json')
  return schema.parse(JSON.parse(await readFile(path, 'utf8')))
}
