import { z } from 'zod'
import { oid } from './dataset-views.ts'
import { revisionSchema } from './dataset-views-browse.ts'

const count = z.int().min(0)
const names = z.array(z.string()).readonly()
const note = z.string().optional().describe('why it was not understood any further')

const fileSideSchema = z.object({
  mode: z.enum(['100644', '100755', '120000']),
  oid,
  size: count.describe('bytes'),
})

const rowChange = z.enum(['added', 'removed', 'changed', 'rewritten'])

const rowSchema = z.object({
  change: rowChange.describe('rewritten: nothing changed but how numbers are written'),
  fromRow: z.int().optional().describe('counted from 1, without the line of names'),
  toRow: z.int().optional(),
  key: names.describe('the values of the key columns; none where rows are compared as a whole'),
  cells: z
    .array(
      z.object({
        column: z.string(),
        from: z.string().optional(),
        to: z.string().optional(),
        sameNumber: z.literal(true).optional().describe('both are one number, written in two ways'),
      }),
    )
    .readonly(),
})

const rowsSchema = z.object({
  as: z.literal('rows'),
  rows: z.object({ from: count, to: count, added: count, removed: count, changed: count, rewritten: count }),
  key: names.describe('the columns that rows were told apart by; none: all that they hold'),
  columns: z.object({
    added: names,
    removed: names,
    renamed: z.array(z.object({ from: z.string(), to: z.string() })).readonly(),
    reordered: z.boolean(),
    changed: z.array(z.object({ column: z.string(), rows: count })).readonly(),
  }),
  moved: z.boolean().describe('the rows that both have come in another order'),
  told: z.array(rowSchema).readonly(),
  note,
})

const valuesSchema = z.object({
  as: z.literal('values'),
  added: count,
  removed: count,
  changed: count,
  rewritten: count,
  names: z.object({ from: count, to: count, differ: count }).optional().describe('at the top of two objects'),
  told: z
    .array(
      z.object({
        change: rowChange,
        pointer: z.string().describe('RFC 6901'),
        from: z.string().optional().describe('JSON'),
        to: z.string().optional(),
      }),
    )
    .readonly(),
  note,
})

const linesSchema = z.object({
  as: z.literal('lines'),
  added: count,
  removed: count,
  hunks: z
    .array(
      z.object({
        fromLine: count,
        fromLines: count,
        toLine: count,
        toLines: count,
        lines: z.array(z.string()).readonly(),
      }),
    )
    .readonly(),
  note,
})

const wholeSchema = z.object({ as: z.literal('whole'), note })

export const fileDiffSchema = z
  .object({
    path: z.string(),
    change: z.enum(['added', 'removed', 'changed', 'renamed']),
    previousPath: z.string().optional(),
    from: fileSideSchema.optional(),
    to: fileSideSchema.optional(),
    comparison: z.discriminatedUnion('as', [rowsSchema, valuesSchema, linesSchema, wholeSchema]).optional(),
    sameContent: z.literal(true).optional().describe('nothing but another way to write the same'),
    summary: z.string(),
  })
  .meta({ id: 'FileDiff' })

export const diffSchema = z
  .object({
    dataset: z.string(),
    from: revisionSchema,
    to: revisionSchema,
    counts: z.object({ added: count, removed: count, changed: count, renamed: count, unchanged: count }),
    files: z.array(fileDiffSchema).readonly().describe('the first ones, sorted by path'),
    summary: z.string().describe('all of it as one sentence'),
  })
  .meta({ id: 'Diff', description: 'what lies between two commits of a dataset' })

export type DiffView = z.output<typeof diffSchema>
export type FileDiffView = z.output<typeof fileDiffSchema>
