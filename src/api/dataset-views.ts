import { z } from 'zod'
import { nameSchema } from '../base/names.ts'

/** What the API says of datasets; read by the command line through the very same schemas, as those of views.ts. */
export const timeMs = z.int().describe('milliseconds since 1970')
export const oid = z
  .string()
  .regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/)
  .describe('id of a git object')
const member = z.string().describe('name of a member')
const bytes = z.int().min(0)

export const policySchema = z
  .enum(['shared', 'local-only', 'compute-only'])
  .describe(
    'shared: members copy it; local-only: it never leaves this node; compute-only: others know of it, and only results leave',
  )

const branchSchema = z.object({
  branch: z.string(),
  commit: oid,
  member,
  announced: z.boolean().describe('false for a branch that is only here'),
  present: z.boolean().describe('whether this node holds the commit'),
  held: oid.optional().describe('where the branch is here, when that is elsewhere'),
})

const replicasSchema = z.object({
  wanted: z
    .int()
    .optional()
    .describe('how many copies are asked for; as many as there are members without a word'),
  actual: z.int().describe('members beside the owner that hold all of it, at least as it was a while ago'),
  current: z.int().describe('how many of these are up to date'),
  members: z.array(z.object({ member, complete: z.boolean(), current: z.boolean(), bytes })).readonly(),
})

const equivocationSchema = z
  .object({
    member,
    sequence: z.int(),
    heads: z.array(z.object({ hash: z.string(), branches: z.record(z.string(), oid) })).readonly(),
  })
  .describe('two heads of one member in one place: it told different members different things')

const resetSchema = z
  .object({ member, branch: z.string(), count: z.int(), from: oid, to: oid, reason: z.string() })
  .describe('a member has rewritten one of its branches')

const failureSchema = z
  .object({
    member,
    code: z.string(),
    reason: z.string(),
    attempts: z.int().describe('that failed in a row'),
    nextAttemptMs: timeMs,
  })
  .describe('a head that could not be fetched so far, and why')

const refusalSchema = z
  .object({
    member,
    branch: z.string(),
    announced: oid,
    reason: z
      .enum(['rollback', 'divergence', 'not-owner'])
      .describe("it goes back, it leaves its own history, or the branch is another member's"),
  })
  .describe('a branch that is announced and not followed')

export const datasetSchema = z
  .object({
    name: nameSchema,
    id: z.string().describe('tells datasets of one name apart'),
    description: z.string(),
    policy: policySchema,
    createdBy: member,
    livesAt: member.optional().describe('where the objects are, unless they are shared'),
    truth: oid.optional(),
    followed: z.boolean().describe('whether this node copies what members announce'),
    why: z.string().describe('why it does, or does not'),
    replicated: z.boolean().describe('whether all announced heads are here'),
    replicas: replicasSchema,
    size: z.object({ bytes, files: z.int().optional() }).optional(),
    branches: z.array(branchSchema).readonly(),
    failures: z.array(failureSchema).readonly(),
    refusals: z.array(refusalSchema).readonly(),
    resets: z.array(resetSchema).readonly(),
    equivocations: z.array(equivocationSchema).readonly(),
    ignored: z
      .array(z.object({ member, reason: z.string(), dataset: z.string(), sequence: z.int() }))
      .readonly()
      .describe('heads that are not followed'),
    contested: z
      .array(z.object({ member, id: z.string(), reason: z.enum(['another', 'not-theirs', 'not-proven']) }))
      .readonly()
      .describe('claims of others to the name, which do not say what the dataset is'),
    upstream: z.object({ url: z.string(), branch: z.string() }).optional(),
  })
  .meta({ id: 'Dataset' })

/** What one dataset takes of this node's disk. */
export const usageSchema = z
  .object({
    bytes: bytes,
    objects: z.int(),
    quotaBytes: z.int().optional().describe('absent where there is no bound'),
    full: z.string().optional().describe('which bound keeps anything more from coming in'),
    collected: z
      .object({
        lastMs: timeMs,
        looseObjects: z.int(),
        packs: z.int(),
        bytesBefore: z.int().optional(),
        bytesAfter: z.int().optional(),
        durationMs: z.number().optional(),
      })
      .optional()
      .describe('when it was last packed, and what that brought'),
  })
  .meta({ id: 'DatasetUsage' })

export const datasetDetailSchema = datasetSchema
  .extend({ usage: usageSchema.optional() })
  .meta({ id: 'DatasetDetail' })

export const verificationSchema = z
  .object({
    dataset: z.string(),
    objects: z.int().describe('how many were read and hashed'),
    sound: z.boolean().describe('nothing is damaged; the copy may yet be behind'),
    problems: z
      .array(
        z.object({
          code: z
            .string()
            .describe('CORRUPT, MISSING, PATH_UNSAFE, MALFORMED, or BEHIND: announced and not here'),
          message: z.string(),
          oid: z.string().optional(),
          branch: z.string().optional(),
          member: member.optional(),
        }),
      )
      .readonly(),
  })
  .meta({ id: 'DatasetVerification' })

export const collectedSchema = usageSchema.shape.collected.unwrap().meta({ id: 'Collected' })

export const importedSchema = datasetSchema
  .extend({
    files: z.int().optional().describe('in the archive'),
    warning: z.string().optional().describe('why members will not be able to copy it'),
  })
  .meta({ id: 'ImportedDataset' })

/** A dataset that was ended, and where copies of it still are. */
export const removedSchema = z
  .object({
    name: z.string(),
    copies: z.array(member).readonly().describe('members that hold one, this node included'),
  })
  .meta({ id: 'RemovedDataset' })

export const localCopySchema = z
  .object({
    name: z.string(),
    id: z.string().describe('of the dataset that it is a copy of'),
    policy: policySchema.optional(),
    path: z.string().describe('of the bare git repository'),
    bytes,
    files: z.int().optional().describe('of the newest announced state'),
    sinceMs: timeMs.optional(),
    former: z.boolean().describe('its dataset is no more, or another one has its name'),
    followed: z.boolean(),
    why: z.string().describe('why it is here'),
  })
  .meta({ id: 'LocalCopy' })

export const fetchedSchema = z
  .object({
    dataset: datasetSchema,
    came: z.array(z.object({ branch: z.string(), member, commit: oid })).readonly(),
    missing: z
      .array(
        z.object({
          branch: z.string(),
          member,
          commit: oid,
          code: z.string().optional(),
          reason: z.string().optional(),
        }),
      )
      .readonly()
      .describe('what was announced and is not here, and why where that is known'),
  })
  .meta({ id: 'FetchedDataset' })

export const wroteResetSchema = z
  .object({ branch: z.string(), count: z.int(), from: oid, to: oid, reason: z.string() })
  .meta({ id: 'Reset', description: 'where the branch was and is, and how often it was reset so far' })

export const commitSchema = z
  .object({
    oid,
    tree: oid,
    parents: z.array(oid).readonly(),
    author: z.object({ name: z.string(), email: z.string() }),
    timeMs,
    message: z.string(),
  })
  .meta({ id: 'Commit' })

export const committedSchema = z
  .object({
    branch: z.string(),
    commit: oid,
    parent: oid.optional().describe('where the branch was before'),
    changed: z.boolean().describe('false when the branch held the same already'),
  })
  .meta({ id: 'Committed', description: "what a snapshot became on this node's own branch" })

export type DatasetView = z.output<typeof datasetSchema>
export type CommitView = z.output<typeof commitSchema>
export type DatasetDetail = z.output<typeof datasetDetailSchema>
export type DatasetVerification = z.output<typeof verificationSchema>
export type Usage = z.output<typeof usageSchema>
export type LocalCopyView = z.output<typeof localCopySchema>
export type Fetched = z.output<typeof fetchedSchema>
export type Imported = z.output<typeof importedSchema>
