import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { ResultFacts } from '../../src/consensus/reliability/result-facts.ts'

const count = z.number().int().nonnegative()
const results = z.array(z.object({ contested: count, ballots: z.record(z.string(), count) }))

const schema = z.object({
  message: z.object({ text: z.string(), facts: z.object({ round: z.string() }).loose() }),
  refused: z.array(z.object({ name: z.string(), text: z.string() })).min(1),
  histories: z
    .array(
      z.object({
        name: z.string(),
        results,
        members: z.record(
          z.string(),
          z.object({
            counted: count,
            agreed: count,
            inARow: count,
            numerator: count,
            denominator: count,
            weight: count,
            differences: z.array(z.object({ height: count, differs: count })),
          }),
        ),
      }),
    )
    .min(1),
  repetitions: z
    .array(
      z.object({
        name: z.string(),
        round: z.string(),
        electorate: z.array(z.string()),
        results,
        rule: z.object({ proven: count, checks: count }),
        quorum: count,
        expected: z.object({ needed: count, workers: z.array(z.string()), check: z.boolean() }),
      }),
    )
    .min(1),
})

export async function reliabilityVectors(): Promise<z.infer<typeof schema>> {
  const path = join(import.meta.dirname, '../../protocols/vectors/reliability.json')
  return schema.parse(JSON.parse(await readFile(path, 'utf8')))
}

/** Results of one dataset and step, by how many are contested and in how many entries each ballot departs. */
export function pastOf(given: z.infer<typeof results>): ResultFacts[] {
  return given.map(({ contested, ballots }, at) => ({
    round: { dataset: 'measurements', step: 'collect', slot: at + 1 },
    height: at + 1,
    method: 'identical',
    contested,
    ballots: Object.entries(ballots)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([peer, differs]) => ({ peer, commit: '0'.repeat(40), agrees: differs === 0, differs })),
  }))
}
