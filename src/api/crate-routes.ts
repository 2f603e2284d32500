import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { isNodeError } from '../base/errors.ts'
import type { CommitInfo } from '../datasets/git/repository.ts'
import type { Tool } from '../execution/catalogue/tool.ts'
import type { Run } from '../execution/runs/run.ts'
import { provOf } from '../provenance/prov-json.ts'
import { type RunCrateInput, runCrate } from '../provenance/run-crate.ts'
import { workflowRunCrate, workflowText } from '../provenance/workflow-crate.ts'
import type { ApiNode, ApiRooms } from './api-node.ts'
import { crateSchema, provSchema } from './lineage-views.ts'
import { newRoutes, streams, tells, tellsAs } from './routing.ts'

const MEDIA_TYPE = 'application/ld+json'
const idParam = z.object({ id: z.string().min(1).max(100) })

const show = createRoute({
  method: 'get',
  path: '/runs/{id}/crate',
  summary: 'One run as a research object: a Process Run Crate or a Workflow Run Crate, 0.5',
  request: {
    params: idParam,
    query: z.strictObject({
      profile: z.enum(['process', 'workflow']).default('process'),
      license: z.url().max(500).optional().describe('address of the licence that the crate is under'),
    }),
  },
  responses: tellsAs(MEDIA_TYPE, crateSchema, 'The crate'),
})

const prov = createRoute({
  method: 'get',
  path: '/runs/{id}/prov',
  summary: 'One run in the PROV data model, as PROV-JSON',
  request: { params: idParam },
  responses: tells(provSchema, 'The document'),
})

const plan = createRoute({
  method: 'get',
  path: '/runs/{id}/pipeline',
  summary: 'The pipeline as a run had it, as YAML: the workflow file of its Workflow Run Crate',
  request: { params: idParam },
  responses: streams('application/yaml', 'The text'),
})

export function crateRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  const inputOf = async (id: string, license?: string): Promise<RunCrateInput> => {
    const { genesis, execution, datasets } = node.federation
    const run = execution.run(id)
    return {
      run,
      agent: { peer: node.peerId, name: node.name },
      federation: { id: genesis.federation, name: genesis.name },
      tools: toolsOf(run, execution.tools),
      commits: await commitsOf(run, datasets),
      ...(license === undefined ? {} : { license }),
    }
  }
  routes.openapi(show, async (c) => {
    const { profile, license } = c.req.valid('query')
    const input = await inputOf(c.req.valid('param').id, license)
    const crate = profile === 'workflow' ? workflowRunCrate(input) : runCrate(input)
    return c.body(JSON.stringify(crate, null, 2), 200, { 'content-type': MEDIA_TYPE })
  })
  routes.openapi(prov, async (c) => {
    return c.json(provSchema.parse(provOf(await inputOf(c.req.valid('param').id))), 200)
  })
  routes.openapi(plan, (c) => {
    const run = node.federation.execution.run(c.req.valid('param').id)
    return c.body(workflowText(run), 200, { 'content-type': 'application/yaml; charset=utf-8' })
  })
  return routes
}

function toolsOf(run: Run, tools: Pick<ApiRooms['execution']['tools'], 'get'>): Map<string, Tool> {
  const found = run.steps.flatMap(({ tool }) => {
    const item = tools.get(tool)
    return item === undefined ? [] : [[tool, item.value] as const]
  })
  return new Map(found)
}

/** What this node still knows of the commits that a run read and made. */
async function commitsOf(
  run: Run,
  datasets: Pick<ApiRooms['datasets'], 'repository'>,
): Promise<Map<string, CommitInfo>> {
  const found = new Map<string, CommitInfo>()
  for (const { inputDataset, inputCommit, outputDataset, outputCommit } of run.steps) {
    const named = [
      { dataset: inputDataset, commit: inputCommit },
      { dataset: outputDataset, commit: outputCommit },
    ]
    for (const { dataset, commit } of named) {
      if (dataset === undefined || commit === undefined || found.has(commit)) continue
      const info = await readCommit(dataset, commit, datasets)
      if (info !== undefined) found.set(commit, info)
    }
  }
  return found
}

/** Undefined where the dataset or the commit is gone: the crate then names it and says no more of it. */
async function readCommit(
  dataset: string,
  commit: string,
  datasets: Pick<ApiRooms['datasets'], 'repository'>,
): Promise<CommitInfo | undefined> {
  try {
    const repository = await datasets.repository(dataset)
    return await repository.readCommit(commit)
  } catch (error) {
    if (isNodeError(error, 'DATASET_NOT_FOUND') || isNodeError(error, 'COMMIT_NOT_FOUND')) return undefined
    throw error
  }
}
