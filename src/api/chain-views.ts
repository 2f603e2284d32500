import { z } from 'zod'
import { verificationSchema } from './round-views.ts'

/** What the API says of a chain of certificates; the shapes are those of consensus/proofs/verification.ts. */
const linkSchema = z
  .object({
    height: z.int(),
    commit: z.string(),
    round: z.string(),
    openedMs: z.int().describe('milliseconds since 1970'),
    confirmedBy: z.array(z.object({ peer: z.string(), name: z.string() })).readonly(),
    voters: z.int().describe('how many voted when the round was opened'),
    recomputed: z
      .enum(['same', 'other', 'ballots not here', 'not tried'])
      .describe('what its ballots result in, computed anew'),
  })
  .meta({ id: 'ChainLink' })

const chainSchema = z
  .object({
    ok: z.boolean(),
    checked: z.int().describe('truths that hold, from the first on'),
    height: z.int().describe('of the present truth'),
    failure: z
      .object({ height: z.int(), clause: z.string(), reason: z.string() })
      .optional()
      .describe('the first that does not hold'),
    recomputed: z.int().describe('results that were computed anew from their ballots and are the same'),
    records: z.int().describe('signed records from which follows who voted when'),
    links: z.array(linkSchema).readonly().describe('the last ones, oldest first'),
  })
  .meta({ id: 'Chain' })

export const chainVerificationSchema = verificationSchema
  .extend({ chain: chainSchema.optional().describe('absent where there is no certificate') })
  .meta({ id: 'ChainVerification' })

export type ChainVerificationView = z.output<typeof chainVerificationSchema>
