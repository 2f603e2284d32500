import { z } from 'zod'
import { certificateSchema } from '../consensus/records.ts'
import { methodSchema } from '../datasets/truth-rule.ts'
import { policySchema } from './dataset-views.ts'
import { ownPartSchema } from './own-part.ts'

/** What the API says of rounds and truths; the shapes are those of consensus/views.ts. */
const timeMs = z.int().describe('milliseconds since 1970')
const named = { peer: z.string(), name: z.string() }
export const namedPeerSchema = z.object(named).meta({ id: 'NamedPeer' })
const namedPeer = namedPeerSchema

export const roundSchema = z
  .object({
    id: z.string().describe('<dataset>/<step>/<slot>'),
    dataset: z.string(),
    step: z.string(),
    slot: z.int(),
    state: z.enum(['open', 'closed', 'decided', 'undecided']),
    reason: z.string().optional(),
    explanation: z.string().optional().describe('why it is undecided, as a sentence'),
    trigger: z.enum(['request', 'schedule', 'hand']),
    method: methodSchema,
    openedBy: namedPeer,
    electorate: z.array(namedPeer).readonly(),
    quorum: z.int().describe('how many of the electorate decide'),
    weights: z
      .record(z.string(), z.int())
      .readonly()
      .optional()
      .describe('what ballots weigh, in thousandths'),
    parent: z.string().nullable(),
    height: z.int(),
    openedMs: timeMs,
    cutoffMs: timeMs,
    votesUntilMs: timeMs,
    ballots: z
      .array(
        z.object({
          ...named,
          commit: z.string(),
          tree: z.string(),
          castMs: timeMs,
          counted: z.boolean(),
          defect: z.string().optional().describe('why it cannot count; tokens of observers learn only that'),
        }),
      )
      .readonly(),
    votes: z
      .array(
        z.object({
          ...named,
          commit: z.string().nullable(),
          castMs: timeMs,
          view: timeMs,
          late: z.boolean(),
        }),
      )
      .readonly(),
    prepared: z
      .object({ commit: z.string(), view: timeMs })
      .optional()
      .describe('what enough members voted for; it is decided when enough of them confirm it'),
    confirmations: z
      .array(z.object({ ...named, commit: z.string(), castMs: timeMs, view: timeMs }))
      .readonly(),
    equivocations: z
      .array(
        z.object({
          ...named,
          what: z.enum(['two-ballots', 'two-votes', 'two-confirmations']),
          said: z.tuple([z.string().nullable(), z.string().nullable()]).readonly(),
        }),
      )
      .readonly()
      .describe('members that signed two different things; what they named'),
    commit: z.string().optional().describe('the result, once decided'),
  })
  .meta({ id: 'Round' })

const paths = z.array(z.string()).readonly()
const entries = z.object({ count: z.int(), first: paths })

const agreementSchema = z
  .object({
    ...named,
    commit: z.string().nullable().describe('what it cast; null when none of it was counted'),
    agrees: z.boolean(),
    differences: z.object({
      missing: paths,
      extra: paths,
      different: paths,
      entries: z
        .record(z.string(), z.object({ missing: entries, extra: entries, different: entries }))
        .optional()
        .describe('by path, where the method looks into files'),
    }),
  })
  .meta({ id: 'Agreement' })

export const truthSchema = z
  .object({
    dataset: z.string(),
    commit: z.string().nullable(),
    policy: policySchema.describe(
      "unless it is shared, nobody votes: the truth is its owner's newest commit",
    ),
    height: z.int().describe('certificates so far'),
    adopted: z.boolean().describe("whether this node's branch ground-truth is there"),
    round: z.string().optional(),
    signers: z.array(namedPeer).readonly(),
    certificate: certificateSchema.optional(),
    agreement: z.array(agreementSchema).readonly(),
    contested: paths.describe('paths on which no more than half agree'),
  })
  .meta({ id: 'Truth' })

export const verificationSchema = z
  .object({
    dataset: z.string(),
    ok: z.boolean(),
    unchecked: z
      .boolean()
      .optional()
      .describe('nothing was found wrong: there is nothing to check, or not here'),
    reason: z.string().optional(),
    commit: z.string().nullable(),
    signers: z.array(namedPeer).readonly(),
    recomputed: z.string().optional().describe('what this node computed from the counted ballots'),
  })
  .meta({ id: 'Verification' })

/** With what this node has done in it. */
export const roundHereSchema = roundSchema.extend({ mine: ownPartSchema }).meta({ id: 'RoundHere' })
export type RoundHere = z.output<typeof roundHereSchema>
export type RoundView = z.output<typeof roundSchema>
export type TruthView = z.output<typeof truthSchema>
