import { z } from 'zod'

/** What the API says of publishers and of what was published. Keys are never told. */
const timeMs = z.int().describe('milliseconds since 1970')

export const publisherSchema = z
  .object({
    name: z.string(),
    kind: z.string(),
    target: z.string().describe('where it leads'),
    prefix: z.string(),
    keepMs: z.int().optional().describe('how long it keeps what it gets; absent: until it is removed'),
  })
  .meta({ id: 'Publisher' })

export const publicationSchema = z
  .object({
    id: z.string(),
    publisher: z.string(),
    kind: z.string(),
    target: z.string(),
    run: z.string(),
    pipeline: z.string(),
    step: z.string(),
    state: z.string().describe('writing, published, removing or removed'),
    address: z.string().optional(),
    files: z.int(),
    bytes: z.int(),
    manifestSha256: z.string(),
    createdMs: timeMs,
    expiresMs: timeMs.optional(),
    removedMs: timeMs.optional(),
    problem: z.string().optional().describe('why it was not removed when its time was up'),
  })
  .meta({ id: 'Publication' })
export type PublicationView = z.output<typeof publicationSchema>

export const publisherKeySchema = z.object({ variable: z.string() })
