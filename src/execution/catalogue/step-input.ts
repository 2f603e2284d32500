import { z } from 'zod'
import { inlineTextBytesMax } from '../../base/limits.ts'
import { nameSchema } from '../../base/names.ts'
import { parsePersistentIdentifier } from '../inputs/persistent-identifier.ts'

/** A file name as a tool sees it: one segment that no shell and no file system stumbles over. */
const fileNameSchema = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\w][\w .+@=-]*$/, 'a file name of letters, digits and . _ + @ = - that does not begin with a dot')

const placed = {
  /** Under which name the tool finds it; default: the base name of what it is. */
  name: fileNameSchema.optional(),
}
const sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'a SHA-256 in 64 lower-case hexadecimal digits')
  .optional()
const commit = z.string().regex(/^[0-9a-f]{40}$/, 'a commit in 40 hexadecimal digits')
/** A file or directory within a tree, written with slashes. */
const path = z.string().min(1).max(1_000).optional()

/** All members read a step, so no password stands in it. */
const url = z
  .url({ protocol: /^https?$/ })
  .max(2_000)
  .refine((text) => {
    const parsed = URL.parse(text)
    return parsed?.username === '' && parsed.password === ''
  }, 'an address without a name and a password, since all members read it')
const pid = z
  .string()
  .trim()
  .max(500)
  .refine(
    (text) => parsePersistentIdentifier(text) !== undefined,
    'a persistent identifier like doi:10.5281/zenodo.1234 or hdl:20.500.12345/6789',
  )

/**
 * What a step reads beside its input dataset. Each is one of: a dataset (at a commit, else its ground truth), a URL, a
 * persistent identifier (`doi:10.…` or a handle), a text, the output of an earlier run on this node.
 */
export const stepInputSchema = z.union(
  [
    z.strictObject({ ...placed, dataset: nameSchema, commit: commit.optional(), path }),
    z.strictObject({ ...placed, url, sha256 }),
    z.strictObject({ ...placed, pid, sha256 }),
    z.strictObject({ ...placed, text: z.string().max(inlineTextBytesMax), sha256 }),
    z.strictObject({ ...placed, run: z.string().min(1).max(100), step: nameSchema.optional(), path }),
  ],
  { error: 'expected one of dataset, url, pid, text or run, with an optional name (and sha256 or path)' },
)
export type StepInput = z.output<typeof stepInputSchema>
