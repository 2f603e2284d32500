import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { isNodeError } from '../base/errors.ts'
import type { CommitInfo } from '../datasets/git/repository.ts'
import type { Tool } from '../execution/catalogue/tool.ts'
import type { Run } from '../execution/runs/run.ts'
import { runCrate } from '../provenance/run-crate.ts'
import type { ApiNode, ApiRooms } from './api-node.ts'
import { newRoutes, tellsAs } from './routing.ts'
import { crateSchema } from './views.ts'

const MEDIA_TYPE = 'application/ld+json'

const show = createRoute({
  method: 'get',
  path: '/runs/{id}/crate',
  summary: 'One run as a research object: a Process Run Crate',
  request: { params: z.object({ id: z.string().min(1).max(100) }) },
  responses: tellsAs(MEDIA_TYPE, crateSchema, 'The crate'),
})

export function crateRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(show, async (c) => {
    const { genesis, execution, datasets } = node.federation
    const run = execution.run(c.req.valid('param').id)
    const crate = runCrate({
      run,
      agent: { peer: node.peerId, name: node.name },
      federation: { id: genesis.federation, name: genesis.name },
      tools: toolsOf(run, execution.tools),
      commits: await commitsOf(run, datasets),
    })
    return c.body(JSON.stringify(crate, null, 2), 200, { 'content-type': MEDIA_TYPE })
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
