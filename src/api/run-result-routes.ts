import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { archivesAtOnceMax, archivesWaitingMax, listedEntriesMax } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import { Semaphore } from '../base/semaphore.ts'
import { list } from '../datasets/browse/listing.ts'
import type { ShownRemoteRun } from '../execution/remote/arrival.ts'
import { isRemoteId } from '../execution/remote/remote-run.ts'
import type { StepRun } from '../execution/runs/run.ts'
import type { ApiNode } from './api-node.ts'
import { revisionView, taggedHeaders } from './dataset-browse-routes.ts'
import { type ContentParts, type Place, sendArchive, sendFile, TAR } from './dataset-content.ts'
import { listingSchema } from './dataset-views-browse.ts'
import { unchanged } from './entity-tag.ts'
import { invalidInput } from './problems.ts'
import { newRoutes, streams, tellsNews, withoutUndefined } from './routing.ts'

const ENTRIES_TOLD_DEFAULT = 1_000

const idParam = z.object({ id: z.string().min(1).max(100) })
const step = nameSchema.optional().describe('whose output; default: the last step that made one')
const path = z.string().max(4_096).default('').describe('from the top of the output')

const files = createRoute({
  method: 'get',
  path: '/runs/{id}/files',
  summary: 'What a step of a run made, page by page',
  request: {
    params: idParam,
    query: z.strictObject({
      step,
      path,
      recursive: z.stringbool().default(false).describe('all files below, and no directories'),
      after: z.string().max(4_096).optional().describe('next of the page before'),
      limit: z.coerce.number().int().min(1).max(listedEntriesMax).default(ENTRIES_TOLD_DEFAULT),
    }),
  },
  responses: tellsNews(listingSchema, "In git's order"),
})

const file = {
  method: 'get',
  path: '/runs/{id}/files/{path}',
  summary: 'The bytes of one file that a run made, whole or a range of them',
  request: { params: idParam.extend({ path: z.string() }), query: z.strictObject({ step }) },
  responses: streams('application/octet-stream', 'The file; its ETag is the id of its content'),
} as const

const tar = createRoute({
  method: 'get',
  path: '/runs/{id}/archive',
  summary: 'What a step of a run made as a tar archive',
  request: { params: idParam, query: z.strictObject({ step, path }) },
  responses: streams(TAR, 'The archive'),
})

/** What runs made: the commits of their steps, in the ways of dataset-browse-routes.ts. */
export function runResultRoutes(node: ApiNode, parts: ContentParts): OpenAPIHono {
  const routes = newRoutes()
  const archives = new Semaphore(archivesAtOnceMax, archivesWaitingMax)
  const find = async (id: string, name: string | undefined): Promise<Place> => {
    const { datasets, execution, remote } = node.federation
    const run = isRemoteId(id)
      ? resultsHere(await remote.shown(remote.runs.get(id)), name)
      : execution.run(id)
    const { dataset, commit } = resultOf(run, name)
    const repository = await datasets.repository(dataset)
    return { name: dataset, at: { name: commit, commit, fixed: true }, repository }
  }

  routes.openapi(files, async (c) => {
    const { step: name, ...options } = c.req.valid('query')
    const { name: dataset, at, repository } = await find(c.req.valid('param').id, name)
    const headers = taggedHeaders([at], dataset, options)
    const same = unchanged(c, headers)
    if (same !== undefined) return same
    const listing = await list(repository, at.commit, withoutUndefined(options))
    return c.json({ dataset, at: revisionView(at), path: options.path, ...listing }, 200, headers)
  })

  // As in dataset-browse-routes.ts: only the router's own words let a parameter run over several parts of a path.
  routes.openAPIRegistry.registerPath(file)
  routes.get('/runs/:id/files/:path{[\\s\\S]+}', async (c) => {
    const { params, query } = file.request
    const param = params.safeParse(c.req.param())
    const asked = query.safeParse(c.req.query())
    if (!param.success) throw invalidInput(param.error, 'path')
    if (!asked.success) throw invalidInput(asked.error, 'query')
    return sendFile(c, await find(param.data.id, asked.data.step), param.data.path, parts)
  })

  routes.openapi(tar, async (c) => {
    const { step: name, path: below } = c.req.valid('query')
    return sendArchive(c, await find(c.req.valid('param').id, name), below, archives, parts)
  })
  return routes
}

interface RunResults {
  readonly id: string
  readonly state: string
  readonly steps: readonly Pick<StepRun, 'name' | 'outputDataset' | 'outputCommit'>[]
}

/** What a run at another member made, as far as it has come here. @throws NodeError NOT_FOUND for what has not. */
function resultsHere({ run, outputs }: ShownRemoteRun, name: string | undefined): RunResults {
  const away = outputs.find(({ step, arrival }) => arrival !== 'here' && step === (name ?? step))
  if (away !== undefined) {
    const { step, dataset, commit } = away
    const message = `What ${run.host?.name} made of the step ${step} is not here; "maoctl dataset fetch ${dataset}" brings what that node has announced`
    throw new NodeError('NOT_FOUND', message, { run: run.id, dataset, commit })
  }
  const steps = run.steps.map(({ name: of, output_dataset: outputDataset }) => {
    const outputCommit = outputs.find(({ step }) => step === of)?.commit
    return { name: of, outputDataset, ...(outputCommit === undefined ? {} : { outputCommit }) }
  })
  return { id: run.id, state: run.end?.state ?? run.runState ?? run.state, steps }
}

/**
 * The commit with what a run made: of the step that is named, else of the last one that made something. Also a run that
 * failed later has the outputs of its earlier steps. Pure.
 *
 * @throws NodeError NOT_FOUND
 */
export function resultOf(run: RunResults, name?: string): { dataset: string; step: string; commit: string } {
  const made = run.steps.filter((each) => each.outputCommit !== undefined)
  const found = name === undefined ? made.at(-1) : made.find((each) => each.name === name)
  if (found?.outputCommit !== undefined) {
    return { dataset: found.outputDataset, step: found.name, commit: found.outputCommit }
  }
  const names = run.steps.map((each) => each.name)
  const message =
    name === undefined
      ? `The run ${run.id} is ${run.state}, and none of its steps has made anything`
      : names.includes(name)
        ? `The run ${run.id} is ${run.state}, and its step ${name} has made nothing`
        : `The run ${run.id} has no step ${name}; its steps are ${names.join(', ')}`
  throw new NodeError('NOT_FOUND', message, { run: run.id })
}
