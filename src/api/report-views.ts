import { z } from 'zod'
import { namedPeerSchema, roundHereSchema } from './round-views.ts'

/** What the API says of a round's ballots; the shapes are those of consensus/report.ts. */
export const entryListSchema = z
  .object({
    count: z.int(),
    first: z.array(z.string()).readonly().describe('so many of them as are told'),
  })
  .meta({ id: 'EntryList' })

export const agreementSchema = z
  .object({
    level: z.enum(['nominal', 'ordinal', 'interval']),
    units: z.int().describe('files, rows or cells that at least two ballots have'),
    raters: z.int(),
    percent: z.number().optional().describe('pairs of equal ratings of all pairs, 0 to 1'),
    fleissKappa: z.number().optional().describe('Fleiss 1971'),
    krippendorffAlpha: z.number().optional().describe('Krippendorff 2004'),
    sampled: z.boolean(),
  })
  .meta({ id: 'RatersAgreement' })
export type AgreementView = z.output<typeof agreementSchema>

const differences = { missing: entryListSchema, extra: entryListSchema, different: entryListSchema }
const named = { peer: z.string(), name: z.string() }

export const candidateSchema = z
  .object({
    ...named,
    commit: z.string().describe("the member's present result of the step"),
    tree: z.string().optional().describe('equal trees are equal files; absent until the commit is here'),
  })
  .meta({ id: 'BallotCandidate' })

export const reportSchema = z
  .object({
    round: roundHereSchema,
    provisional: z.boolean().describe('nothing is closed yet: these are the ballots so far'),
    unavailable: z.string().optional().describe('why there is nothing more to say at present'),
    groups: z
      .array(z.object({ tree: z.string(), peers: z.array(namedPeerSchema).readonly() }))
      .readonly()
      .describe('ballots with equal files together, largest first'),
    contested: entryListSchema.describe('paths on which no more than half agree'),
    members: z
      .array(
        z.object({
          ...named,
          commit: z.string().nullable(),
          agrees: z.boolean(),
          departures: z
            .int()
            .describe('in how many files and entries its ballot differs from what was agreed'),
          ...differences,
          entries: z.array(z.object({ path: z.string(), ...differences })).readonly(),
        }),
      )
      .readonly(),
    agreement: agreementSchema.optional().describe('over whole files'),
    files: z
      .array(
        z.object({
          path: z.string(),
          whole: z.string().optional().describe('why the file is contested as a whole'),
          contested: entryListSchema,
          agreement: agreementSchema,
          notes: z.array(z.string()).readonly(),
        }),
      )
      .readonly()
      .describe('files that were agreed on entry by entry'),
    refusals: z.array(z.string()).describe('records of the round that this node does not sign, and why'),
    candidates: z.array(candidateSchema).describe('where people cast: results that there are to choose from'),
  })
  .meta({ id: 'RoundReport' })
export type ReportView = z.output<typeof reportSchema>
