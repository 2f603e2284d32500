import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../../base/errors.ts'
import { nameSchema } from '../../base/names.ts'
import { branchOf } from '../../datasets/branches.ts'
import { TRUTH_BRANCH } from '../../datasets/git/git-directory.ts'
import type { PipelineStep } from '../../execution/catalogue/pipeline.ts'
import type { ApiNode } from '../api-node.ts'
import { demandSay } from '../claim-rights.ts'
import { body } from '../routing.ts'
import { answer, asJson, maoRoutesApart, says, told } from './answers.ts'

const namesSchema = z.array(z.string())
const stepFields = {
  name: z.string(),
  tool: z.string(),
  cmd: z.array(z.string()).nullable(),
  env: z.record(z.string(), z.string()).nullable(),
  docker_socket: z.boolean(),
}
const plainStepSchema = z.object({
  ...stepFields,
  input_dataset: z.string().nullable(),
  output_dataset: z.string(),
})
const branchSchema = z.object({ name: z.string(), branch: z.string() })
const placedStepSchema = z.object({
  ...stepFields,
  input_dataset: branchSchema.nullable(),
  output_dataset: branchSchema,
})

/** What the predecessor reads of a step; further fields are passed over, as they were there. */
const wantedStepSchema = z.object({
  name: z.unknown().describe('name of the step'),
  tool: z.unknown().describe('name of the tool'),
  cmd: z.unknown().describe('list of words, or null'),
  env: z.unknown().describe('map of texts, or null'),
  docker_socket: z.unknown().describe('true where the tool starts containers itself'),
  input_dataset: z.unknown().describe('name, or null'),
  output_dataset: z.unknown().describe('name'),
})

const show = createRoute({
  method: 'get',
  path: '/registry/pipelines/{pipeline}',
  summary: 'The steps of a pipeline, for clients of the predecessor',
  request: { params: z.object({ pipeline: z.string() }) },
  responses: says(z.array(placedStepSchema), 'Datasets with the branch that this node reads or writes'),
})

const list = createRoute({
  method: 'get',
  path: '/pipeline',
  summary: 'The pipelines, for clients of the predecessor',
  responses: says(
    z.array(z.object({ name: z.string(), steps: z.array(plainStepSchema) })),
    'Sorted by name, datasets as plain names',
  ),
})

const init = createRoute({
  method: 'post',
  middleware: asJson,
  path: '/pipeline/init',
  summary: 'Register a pipeline, for clients of the predecessor',
  request: {
    body: body(
      z.object({
        name: nameSchema,
        description: z.string().nullish(),
        steps: z.array(wantedStepSchema).min(1),
      }),
    ),
  },
  responses: {
    ...says(z.object({ name: z.string(), steps: z.array(plainStepSchema), ok: z.literal(true) }), 'It is'),
    400: answer(
      z.object({
        name: z.string(),
        steps: z.array(plainStepSchema),
        ok: z.literal(false),
        errors: z.object({ missing_tools: namesSchema, missing_datasets: namesSchema }),
      }),
      'Tools or datasets are missing',
    ),
  },
})

export const PIPELINE_NOT_FOUND = { error: 'Pipeline not found in registry' }

export function maoPipelineRoutes(node: ApiNode): OpenAPIHono {
  const routes = maoRoutesApart()
  const pipelines = () => node.federation.execution.pipelines

  routes.openapi(show, (c) => {
    const item = pipelines().get(c.req.valid('param').pipeline)
    if (item === undefined) return told(c, PIPELINE_NOT_FOUND, 404)
    return told(
      c,
      item.value.steps.map((step) => placedStep(step, node.name)),
    )
  })
  routes.openapi(list, (c) => {
    const all = pipelines().list()
    return told(
      c,
      all.map(({ name, value }) => ({ name, steps: value.steps.map(plainStep) })),
    )
  })
  routes.openapi(init, async (c) => {
    const wanted = c.req.valid('json')
    demandSay(c, node, `/pipelines/${wanted.name}`)
    try {
      // [W7] The predecessor's clients know no other registry than the one that all members read.
      const added = await node.federation.execution.addPipeline(wanted.name, wanted, { shareNames: true })
      return told(c, { name: added.name, steps: added.value.steps.map(plainStep), ok: true })
    } catch (error) {
      const errors = missingIn(error)
      if (errors === undefined) throw error
      return told(c, { name: wanted.name, steps: [], ok: false, errors }, 400)
    }
  })
  return routes
}

/** The seven fields that a step always had, in their order. */
export function plainStep(step: PipelineStep): z.output<typeof plainStepSchema> {
  const { name, tool, cmd, env, docker_socket, input_dataset, output_dataset } = step
  return { name, tool, cmd, env, docker_socket, input_dataset, output_dataset }
}

/** [W7] Input is always the ground truth, output always the branch of step and node. */
export function placedStep(step: PipelineStep, node: string): z.output<typeof placedStepSchema> {
  const { input_dataset: input, output_dataset: output, ...fields } = plainStep(step)
  return {
    ...fields,
    input_dataset: input === null ? null : { name: input, branch: TRUTH_BRANCH },
    output_dataset: { name: output, branch: branchOf(step.name, node) },
  }
}

const missingSchema = z.object({ missingTools: namesSchema, missingDatasets: namesSchema })

function missingIn(error: unknown): { missing_tools: string[]; missing_datasets: string[] } | undefined {
  const data = error instanceof NodeError && error.code === 'INVALID_INPUT' ? error.data : undefined
  const missing = missingSchema.safeParse(data)
  if (!missing.success) return undefined
  const { missingTools: missing_tools, missingDatasets: missing_datasets } = missing.data
  return missing_tools.length + missing_datasets.length === 0
    ? undefined
    : { missing_tools, missing_datasets }
}
