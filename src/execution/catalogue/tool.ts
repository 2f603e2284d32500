import { z } from 'zod'
import { NodeError } from '../../base/errors.ts'
import { watchSchema } from '../../monitoring/alarms.ts'
import { serviceSchema } from '../images/service.ts'

/** An image reference as Docker writes it: `[registry/]repository[:tag][@sha256:digest]`. */
const IMAGE = /^[a-z0-9]+(?:[._:/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/i

const IMAGE_RULE = 'an image is written like name:tag, registry.example.org/group/name:1.0 or name@sha256:…'

const imageSchema = z.string().trim().max(500).regex(IMAGE, IMAGE_RULE)
const textSchema = z.string().trim().max(2_000)

/** What `/tools/<name>` holds, in the predecessor's words; fields of a later version are left out. */
export const toolSchema = z.object({
  author: textSchema.default(''),
  image: imageSchema,
  data_repo: textSchema.optional(),
  code_repo: textSchema.optional(),
  artefact: textSchema.optional(),
  description: textSchema.optional(),
  /** How its control metric is judged; a node's settings may say it otherwise. */
  monitoring: watchSchema.optional(),
  /** What the labels of the image say, where it is a service (`eudat.gef.service.*`), and which image says so. */
  service: serviceSchema.optional(),
})

export type Tool = z.output<typeof toolSchema>
export type ToolInput = z.input<typeof toolSchema>

/** What a person may say of a tool: the same, but a word that we do not know is a mistake and is told. */
export const toolInputSchema = z.preprocess(withoutNulls, z.strictObject(toolSchema.shape))

/** The predecessor's files write null for what they do not say. */
export function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null))
}

/** @throws NodeError INVALID_INPUT whose `data.problems` lists everything that is wrong. */
export function parseTool(input: unknown): Tool {
  const parsed = toolInputSchema.safeParse(input)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'tool'}: ${issue.message}`)
  throw new NodeError('INVALID_INPUT', `The tool is not valid: ${problems.join('; ')}`, { problems })
}
