import { parseDocument } from 'yaml'
import { z } from 'zod'
import { NodeError } from '../../base/errors.ts'
import { MINUTE_MS, publishersPerStepMax, stepInputsMax, stepsMax, timerMaxMs } from '../../base/limits.ts'
import { nameSchema } from '../../base/names.ts'
import { isReservedStep } from '../../datasets/branches.ts'
import { stepInputSchema } from './step-input.ts'

/**
 * A pipeline as people and programs write it. The words are the predecessor's: an array of steps is a pipeline too,
 * and a dataset may be written `{name, branch}`, as its registry showed it. The branch says nothing new there (input
 * is always the ground truth, output always the node's own branch), so only the name is kept.
 */
const datasetSchema = z.union([nameSchema, z.object({ name: nameSchema }).transform(({ name }) => name)], {
  error: 'expected the name of a dataset',
})

const variableSchema = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'not the name of a variable')

/** YAML reads `LIMIT: 5` as a number and means the text. */
const valueSchema = z.union([z.string(), z.number(), z.boolean()]).transform(String)

/** What a step needs of a machine; what it does not say, the node's settings say. */
const resourcesSchema = z.strictObject({
  cpus: z.number().min(0.01).max(1_024).optional(),
  memoryBytes: z.int().min(1).optional(),
  diskBytes: z.int().min(1).optional(),
  gpus: z.int().min(0).max(64).optional(),
  pids: z.int().min(1).optional(),
})

const commandSchema = z
  .array(z.union([z.string(), z.number()]).transform(String))
  .nullable()
  .default(null)
const environmentSchema = z.record(variableSchema, valueSchema).nullable().default(null)

/** What this node adds to the predecessor's words; a step without them is what it always was. */
const furtherFields = {
  /** `none` unless the step asks and the node grants. */
  network: z.enum(['none', 'bridge', 'host']).optional(),
  root: z.enum(['read-only', 'writable']).optional(),
  /** How directories and variables are named for the tool; default: what its image's labels say, else `mao`. */
  layout: z.enum(['mao', 'compute-to-data']).optional(),
  inputs: z.array(stepInputSchema).max(stepInputsMax).optional(),
  resources: resourcesSchema.optional(),
  timeoutMs: z.int().min(1_000).max(timerMaxMs).optional(),
  /** Runs on the output after the tool succeeded; when it fails, nothing of the output leaves. */
  filter: z.strictObject({ tool: nameSchema, cmd: commandSchema, env: environmentSchema }).optional(),
  /** Publishers of the node, by name, that get the output beside the dataset. */
  publish: z.array(nameSchema).max(publishersPerStepMax).optional(),
  /** How long they keep it, where that is shorter than they would. */
  keepMs: z.int().min(MINUTE_MS).optional(),
}

const stepNameSchema = nameSchema.refine((name) => !isReservedStep(name), {
  error:
    'begins with "for." or "vote.", which are for what hosts made for others, and what people put together for a vote',
})

const stepFields = {
  name: stepNameSchema,
  tool: nameSchema,
  cmd: commandSchema,
  env: environmentSchema,
  docker_socket: z.boolean().default(false),
  input_dataset: datasetSchema.nullable().default(null),
  output_dataset: datasetSchema,
  ...furtherFields,
}

const descriptionSchema = z.string().trim().max(2_000)

/** What `/pipelines/<name>` holds; fields of a later version are left out. */
export const pipelineSchema = z.object({
  description: descriptionSchema.optional(),
  steps: z.array(z.object(stepFields)).min(1).max(stepsMax),
})

export type Pipeline = z.output<typeof pipelineSchema>
export type PipelineStep = Pipeline['steps'][number]

/** What a variable holds that each node's owner fills with a secret of its own. */
export const SECRET_PLACEHOLDER = /^\{\{\s*MAO_PRIVATE_VARIABLE\s*\}\}$/

const pipelineInputSchema = z
  .strictObject({
    name: nameSchema.optional(),
    description: descriptionSchema.nullish(),
    steps: z.array(z.strictObject(stepFields)).min(1, 'a pipeline has at least one step').max(stepsMax),
  })
  .superRefine(({ steps }, context) => {
    // Whoever names the secret within the braces would otherwise hand the tool that very text.
    for (const [index, { env, filter }] of steps.entries()) {
      const values = [...Object.entries(env ?? {}), ...Object.entries(filter?.env ?? {})]
      for (const [variable, value] of values) {
        if (!/^\{\{.*\}\}$/.test(value) || SECRET_PLACEHOLDER.test(value)) continue
        const message = `${value} stands for nothing: the value of a secret variable is the very text {{ MAO_PRIVATE_VARIABLE }}, and the secret is named like the variable, ${variable}`
        context.addIssue({ code: 'custom', path: ['steps', index, 'env'], message })
      }
    }
    // Two steps of one name would share a branch and a log.
    for (const [index, { name }] of steps.entries()) {
      if (steps.findIndex((step) => step.name === name) === index) continue
      const message = `another step is named ${name}`
      context.addIssue({ code: 'custom', path: ['steps', index, 'name'], message })
    }
  })

export interface ParsedPipeline {
  /** The name that the text gives itself, where it does. */
  name?: string
  pipeline: Pipeline
}

/**
 * Reads a pipeline from YAML or JSON text, or from a value already parsed.
 *
 * @throws NodeError INVALID_INPUT whose message and `data.problems` list everything that is wrong, each with its place.
 */
export function parsePipeline(input: unknown): ParsedPipeline {
  const value = typeof input === 'string' ? parseText(input) : input
  const parsed = pipelineInputSchema.safeParse(Array.isArray(value) ? { steps: value } : value)
  if (!parsed.success) throw invalid(parsed.error.issues.map((issue) => problemOf(issue, value)))
  const { name, description, steps } = parsed.data
  return {
    ...(name === undefined ? {} : { name }),
    pipeline: { ...(description == null ? {} : { description }), steps },
  }
}

/** JSON is YAML, so one reader serves both. */
function parseText(text: string): unknown {
  const document = parseDocument(text)
  if (document.errors.length > 0) {
    throw invalid(document.errors.map((error) => error.message.split('\n')[0] ?? 'not YAML'))
  }
  return document.toJS({ maxAliasCount: 100 })
}

function problemOf(issue: z.core.$ZodIssue, value: unknown): string {
  const place = placeOf(issue.path, value)
  return place === '' ? issue.message : `${place}: ${issue.message}`
}

/** `steps.1.tool` as people find it: `step 2 (assess), tool`. */
function placeOf(path: readonly PropertyKey[], value: unknown): string {
  const [first, index, ...rest] = path
  if (first !== 'steps' || typeof index !== 'number') return path.join('.')
  const steps = Array.isArray(value) ? value : (value as { steps: unknown[] }).steps
  const step: unknown = steps[index]
  const name = typeof step === 'object' && step !== null && 'name' in step ? ` (${String(step.name)})` : ''
  return [`step ${index + 1}${name}`, ...(rest.length === 0 ? [] : [rest.join('.')])].join(', ')
}

function invalid(problems: string[]): NodeError {
  return new NodeError('INVALID_INPUT', `The pipeline is not valid: ${problems.join('; ')}`, { problems })
}
