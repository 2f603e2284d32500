import { z } from 'zod'
import { oid } from './dataset-views.ts'

const path = z.string().describe('from the top of the tree')

/** What was asked for, and the commit that it means. */
export const revisionSchema = z
  .object({
    name: z.string().describe('a branch, a member, or the beginning of an id'),
    commit: oid,
    announced: oid.optional().describe('what has been announced for that branch and is not here yet'),
  })
  .meta({ id: 'Revision' })

export const listingSchema = z
  .object({
    dataset: z.string(),
    at: revisionSchema,
    path,
    entries: z
      .array(
        z.object({
          path,
          type: z.enum(['file', 'executable', 'link', 'directory']),
          oid,
          size: z.int().optional().describe('bytes; a directory has none of its own'),
        }),
      )
      .readonly(),
    total: z.int().describe('of all pages together'),
    next: z.string().optional().describe('what the next page comes after; absent on the last one'),
  })
  .meta({ id: 'Listing', description: 'a page of a directory at one commit' })

export type ListingView = z.output<typeof listingSchema>
