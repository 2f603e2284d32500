import { z } from 'zod'
import { nameSchema } from '../base/names.ts'

/** What the API says of datasets; read by the command line through the very same schemas, as those of views.ts. */
export const timeMs = z.int().describe('milliseconds since 1970')
export const oid = z
  .string()
  .regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/)
  .describe('id of a git object')

export const datasetSchema = z
  .object({
    name: nameSchema,
    description: z.string(),
    policy: z.string(),
    createdBy: z.string(),
    truth: oid.optional(),
    replicated: z.boolean().describe('whether all announced heads are here'),
    branches: z
      .array(
        z.object({
          branch: z.string(),
          commit: oid,
          member: z.string(),
          announced: z.boolean().describe('false for a branch that is only here'),
          present: z.boolean().describe('whether this node holds the commit'),
        }),
      )
      .readonly(),
  })
  .meta({ id: 'Dataset' })

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

export type DatasetView = z.output<typeof datasetSchema>
export type CommitView = z.output<typeof commitSchema>
