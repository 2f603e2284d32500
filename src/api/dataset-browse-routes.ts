import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { archivesAtOnceMax, archivesWaitingMax, listedEntriesMax } from '../base/limits.ts'
import { Semaphore } from '../base/semaphore.ts'
import { list } from '../datasets/browse/listing.ts'
import { type Commits, type Revision, resolveRevision } from '../datasets/browse/revision.ts'
import type { ApiNode } from './api-node.ts'
import { type ContentParts, type Place, sendArchive, sendFile, TAR } from './dataset-content.ts'
import { commitSchema } from './dataset-views.ts'
import { listingSchema } from './dataset-views-browse.ts'
import { unchanged, weakTagOf } from './entity-tag.ts'
import { cacheControl } from './file-headers.ts'
import { invalidInput } from './problems.ts'
import { namedParam, newRoutes, streams, tellsNews, withoutUndefined } from './routing.ts'

const COMMITS_TOLD_DEFAULT = 20
const COMMITS_TOLD_MAX = 1_000
const ENTRIES_TOLD_DEFAULT = 1_000

export const at = z
  .string()
  .min(1)
  .max(200)
  .optional()
  .describe("a branch, a commit's id or its beginning, or a member with one branch; default: ground-truth")
const path = z.string().max(4_096).default('').describe('from the top of the tree')
const count = z.coerce.number().int().min(1)

const log = createRoute({
  method: 'get',
  path: '/datasets/{name}/log',
  summary: 'The commits that lead to one, newest first',
  request: {
    params: namedParam,
    query: z.strictObject({
      at,
      branch: at.describe('the same as at'),
      limit: count.max(COMMITS_TOLD_MAX).default(COMMITS_TOLD_DEFAULT),
    }),
  },
  responses: tellsNews(z.array(commitSchema), 'Newest first'),
})

const tree = createRoute({
  method: 'get',
  path: '/datasets/{name}/tree',
  summary: 'A directory of a dataset at one commit, page by page',
  request: {
    params: namedParam,
    query: z.strictObject({
      at,
      path,
      recursive: z.stringbool().default(false).describe('all files below, and no directories'),
      after: z.string().max(4_096).optional().describe('next of the page before'),
      limit: count.max(listedEntriesMax).default(ENTRIES_TOLD_DEFAULT),
    }),
  },
  responses: tellsNews(listingSchema, "In git's order"),
})

const file = {
  method: 'get',
  path: '/datasets/{name}/files/{path}',
  summary: 'The bytes of one file at one commit, whole or a range of them',
  request: { params: namedParam.extend({ path: z.string() }), query: z.strictObject({ at }) },
  responses: streams('application/octet-stream', 'The file; its ETag is the id of its content'),
} as const

const tar = createRoute({
  method: 'get',
  path: '/datasets/{name}/archive',
  summary: 'The files at one commit as a tar archive, the same bytes on every node',
  request: { params: namedParam, query: z.strictObject({ at, path }) },
  responses: streams(TAR, 'The archive'),
})

/** What datasets hold, to be looked at. */
export function datasetBrowseRoutes(node: ApiNode, parts: ContentParts): OpenAPIHono {
  const routes = newRoutes()
  const archives = new Semaphore(archivesAtOnceMax, archivesWaitingMax)
  const find = (name: string, words: string | undefined) => placeOf(node, name, words)

  routes.openapi(log, async (c) => {
    const { at: words, branch, limit } = c.req.valid('query')
    const { name } = c.req.valid('param')
    const wanted = words ?? branch
    // Where nothing is agreed on yet, there is nothing to tell, which is no error.
    const { datasets } = node.federation
    if (wanted === undefined && (await datasets.show(name)).truth === undefined) return c.json([], 200)
    const { at: found, repository } = await find(name, wanted)
    const headers = taggedHeaders([found], limit)
    const same = unchanged(c, headers)
    if (same !== undefined) return same
    return c.json(await repository.log(found.commit, limit), 200, headers)
  })

  routes.openapi(tree, async (c) => {
    const { at: words, ...options } = c.req.valid('query')
    const { name, at: found, repository } = await find(c.req.valid('param').name, words)
    const headers = taggedHeaders([found], name, options)
    const same = unchanged(c, headers)
    if (same !== undefined) return same
    const listing = await list(repository, found.commit, withoutUndefined(options))
    const told = { dataset: name, at: revisionView(found), path: options.path, ...listing }
    return c.json(told, 200, headers)
  })

  // Not through createRoute: only the router's own words let a parameter run over several parts of a path. Any character:
  // a dot leaves out U+2028, which may stand in a name.
  routes.openAPIRegistry.registerPath(file)
  routes.get('/datasets/:name/files/:path{[\\s\\S]+}', async (c) => {
    const { params, query } = file.request
    const param = params.safeParse(c.req.param())
    const asked = query.safeParse(c.req.query())
    if (!param.success) throw invalidInput(param.error, 'path')
    if (!asked.success) throw invalidInput(asked.error, 'query')
    const place = await find(param.data.name, asked.data.at)
    return sendFile(c, place, param.data.path, parts)
  })

  routes.openapi(tar, async (c) => {
    const { at: words, path: below } = c.req.valid('query')
    const place = await find(c.req.valid('param').name, words)
    return sendArchive(c, place, below, archives, parts)
  })
  return routes
}

const NOTHING: Commits = {
  branches: async () => new Map(),
  hasCommit: async () => false,
  isAncestor: async () => false,
  log: async () => [],
}

/** The commit that is meant. @throws NodeError DATASET_NOT_FOUND, and as resolveRevision. */
export async function placeOf(node: ApiNode, name: string, words: string | undefined): Promise<Place> {
  const { datasets } = node.federation
  const view = await datasets.show(name)
  const isHere = view.followed || view.branches.some(({ present }) => present)
  // Who only looks lays out no repository for what is not copied here, and learns why there is nothing to see.
  if (!isHere) await resolveRevision(words, view, NOTHING)
  const repository = await datasets.repository(name)
  return { name, at: await resolveRevision(words, view, repository), repository }
}

/** Of an answer that follows from these commits, by the names they were asked for by, and from what was asked. */
export function taggedHeaders(revisions: readonly Revision[], ...asked: readonly unknown[]) {
  return {
    etag: weakTagOf(revisions.map(revisionView), ...asked),
    'cache-control': cacheControl(revisions.every(({ fixed }) => fixed)),
  }
}

export function revisionView({ name, commit, announced }: Revision) {
  return { name, commit, ...(announced === undefined ? {} : { announced }) }
}
