import { z } from 'zod'
import { agreementSchema, entryListSchema } from './report-views.ts'
import { namedPeerSchema } from './round-views.ts'

/** What the API says of audits; the shapes are those of consensus/audit/. */
const timeMs = z.int().describe('milliseconds since 1970')
const named = { peer: z.string(), name: z.string() }

const headSchema = z.object({ branch: z.string(), commit: z.string(), tree: z.string() })

const memberSchema = z
  .object({
    ...named,
    part: z
      .enum(['candidate', 'left-out', 'unavailable', 'late', 'nothing', 'silent'])
      .describe(
        'how it takes part: compared; answered with what cannot be compared, or could not be had; answered after the end; had nothing; did not answer',
      ),
    head: headSchema.optional().describe('its newest head, as it says'),
    answeredMs: timeMs.optional(),
    reason: z.string().optional(),
    strangeness: z.int().optional().describe('entries that differ from those of the others, over all pairs'),
    wins: z.boolean().optional(),
  })
  .meta({ id: 'AuditMember' })

const groupSchema = z
  .object({
    tree: z.string(),
    files: z.int(),
    strangeness: z.int(),
    wins: z.boolean(),
    peers: z.array(z.object({ ...named, branch: z.string(), commit: z.string() })).readonly(),
    differences: z
      .object({ missing: entryListSchema, extra: entryListSchema, different: entryListSchema })
      .optional()
      .describe('against the first of the winners'),
  })
  .meta({ id: 'AuditGroup' })

const reportSchema = z
  .object({
    outcome: z
      .enum(['winner', 'draw', 'alone', 'nothing'])
      .describe('draw: a person has to decide; alone: there was one candidate; nothing: none'),
    winner: headSchema.optional().describe('of the first of the winners, which all hold the same'),
    groups: z
      .array(groupSchema)
      .readonly()
      .describe('candidates that hold the same, the least strange first'),
    members: z.array(memberSchema).readonly(),
    agreement: agreementSchema.optional(),
  })
  .meta({ id: 'AuditReport' })

export const auditSchema = z
  .object({
    id: z.string().describe('<dataset>/<openedMs>/<opener>'),
    dataset: z.string(),
    step: z.string().optional(),
    openedBy: namedPeerSchema,
    openedMs: timeMs,
    untilMs: timeMs.describe('answers are on time until then'),
    state: z
      .enum(['open', 'comparing', 'ended', 'closed'])
      .describe('closed: it is over, and this node has compared nothing'),
    members: z.array(memberSchema).readonly(),
    looked: z.int().optional().describe('before the report: candidates that this node has looked into'),
    notAsked: z.array(namedPeerSchema).readonly().describe('members that could answer, and were left out'),
    note: z.string().optional(),
    report: reportSchema.optional(),
    next: z.string().optional().describe('what a person may do now'),
  })
  .meta({ id: 'Audit' })

export type AuditView = z.output<typeof auditSchema>
export type AuditMemberView = AuditView['members'][number]
