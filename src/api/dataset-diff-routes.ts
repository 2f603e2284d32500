import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { diffRowsToldMax, diffsAtOnceMax, diffsWaitingMax } from '../base/limits.ts'
import { Semaphore } from '../base/semaphore.ts'
import { diffCommits } from '../datasets/diff/dataset-diff.ts'
import type { ApiNode } from './api-node.ts'
import { at, placeOf, revisionView, taggedHeaders } from './dataset-browse-routes.ts'
import { diffSchema } from './dataset-views-diff.ts'
import { unchanged } from './entity-tag.ts'
import { namedParam, newRoutes, tellsNews } from './routing.ts'

const ROWS_TOLD_DEFAULT = 200
const KEYS_MAX = 16

const diff = createRoute({
  method: 'get',
  path: '/datasets/{name}/diff',
  summary: 'What lies between two commits: files, and rows of CSV and JSON in them',
  request: {
    params: namedParam,
    query: z.strictObject({
      from: at,
      to: at,
      path: z.string().max(4_096).default('').describe('only this file, or what lies below this directory'),
      key: z
        .string()
        .max(2_000)
        .transform((text) => text.split(',').filter((name) => name !== ''))
        .refine((names) => names.length <= KEYS_MAX, `at most ${KEYS_MAX} columns`)
        .optional()
        .describe('columns that tell rows apart, parted by commas; found out file by file without'),
      limit: z.coerce
        .number()
        .int()
        .min(0)
        .max(diffRowsToldMax)
        .default(ROWS_TOLD_DEFAULT)
        .describe('rows, values and lines told of all files together'),
    }),
  },
  responses: tellsNews(diffSchema, 'The files that differ'),
})

/** What two members' branches, or any two commits of a dataset, make of the same data. */
export function datasetDiffRoutes(node: ApiNode, { stopping }: { stopping: AbortSignal }): OpenAPIHono {
  const routes = newRoutes()
  const diffs = new Semaphore(diffsAtOnceMax, diffsWaitingMax)
  const large = new Semaphore(1, diffsWaitingMax)
  routes.openapi(diff, async (c) => {
    const { from: before, to: after, path, key, limit } = c.req.valid('query')
    const { name } = c.req.valid('param')
    const { at: from, repository } = await placeOf(node, name, before)
    const { at: to } = await placeOf(node, name, after)
    const headers = taggedHeaders([from, to], name, path, key, limit)
    const same = unchanged(c, headers)
    if (same !== undefined) return same
    const signal = AbortSignal.any([stopping, c.req.raw.signal])
    const options = {
      path,
      toldMax: limit,
      large,
      signal,
      ...(key === undefined || key.length === 0 ? {} : { key }),
    }
    const found = await diffs.run(() => diffCommits(repository, from, to, options))
    const told = { ...found, dataset: name, from: revisionView(from), to: revisionView(to) }
    return c.json(told, 200, headers)
  })
  return routes
}
