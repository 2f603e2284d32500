import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { body, makes, namedParam, newRoutes, tells } from './routing.ts'
import { unpack } from './unpack.ts'
import { Upload } from './upload.ts'
import { commitSchema, datasetSchema } from './views.ts'

const COMMITS_TOLD_DEFAULT = 20
const COMMITS_TOLD_MAX = 1_000

const descriptionSchema = z.string().max(2_000)

const add = createRoute({
  method: 'post',
  path: '/datasets',
  summary: 'Make a new, empty dataset that the federation shares',
  request: { body: body(z.strictObject({ name: nameSchema, description: descriptionSchema.default('') })) },
  responses: makes(datasetSchema, 'The dataset'),
})

const importArchive = createRoute({
  method: 'post',
  path: '/datasets/import',
  summary: 'Make a dataset of the files in a tar archive',
  request: {
    query: z.strictObject({ name: nameSchema, description: descriptionSchema.default('') }),
    body: {
      required: true,
      content: { 'application/x-tar': { schema: z.string().meta({ format: 'binary' }) } },
    },
  },
  responses: makes(datasetSchema, 'The dataset with its first commit'),
})

const list = createRoute({
  method: 'get',
  path: '/datasets',
  summary: 'The datasets of the federation',
  responses: tells(z.array(datasetSchema), 'Sorted by name'),
})

const show = createRoute({
  method: 'get',
  path: '/datasets/{name}',
  summary: 'One dataset with the branches of its members',
  request: { params: namedParam },
  responses: tells(datasetSchema, 'The dataset'),
})

const log = createRoute({
  method: 'get',
  path: '/datasets/{name}/log',
  summary: 'The commits of one branch',
  request: {
    params: namedParam,
    query: z.strictObject({
      branch: z.string().min(1).max(200).optional().describe('default: ground-truth'),
      limit: z.coerce.number().int().min(1).max(COMMITS_TOLD_MAX).default(COMMITS_TOLD_DEFAULT),
    }),
  },
  responses: tells(z.array(commitSchema), 'Newest first'),
})

export function datasetRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(add, async (c) => {
    const { name, description } = c.req.valid('json')
    return c.json(await node.federation.datasets.add(name, description), 201)
  })
  routes.openapi(importArchive, async (c) => {
    const { name, description } = c.req.valid('query')
    const { datasets } = node.federation
    // Said before the archive is read, which may take long; the datasets themselves ask again.
    if (datasets.list().some((dataset) => dataset.name === name)) {
      throw new NodeError('ALREADY_EXISTS', `There is a dataset named ${name} already`, { name })
    }
    const { body } = c.req.raw
    if (body === null) throw new NodeError('INVALID_INPUT', 'The body holds no tar archive')
    const upload = new Upload(body)
    const directory = await temporaryDirectory(node.config.dataDirectory)
    try {
      const { files } = await unpack(upload.stream, directory)
      if (files === 0) throw new NodeError('INVALID_INPUT', 'The archive holds no file to import')
      return c.json(await datasets.importDirectory(name, directory, description), 201)
    } catch (error) {
      await upload.discardRest()
      throw error
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
  routes.openapi(list, (c) => c.json(node.federation.datasets.list(), 200))
  routes.openapi(show, async (c) => {
    return c.json(await node.federation.datasets.show(c.req.valid('param').name), 200)
  })
  routes.openapi(log, async (c) => {
    const { branch, limit } = c.req.valid('query')
    return c.json(await node.federation.datasets.log(c.req.valid('param').name, branch, limit), 200)
  })
  return routes
}

/** Below the data directory; emptied when the API starts. */
export const TEMPORARY_DIRECTORY = 'tmp'

/** Beside the repositories, so that what is unpacked is on the disk that has room for datasets. */
async function temporaryDirectory(dataDirectory: string): Promise<string> {
  const parent = join(dataDirectory, TEMPORARY_DIRECTORY)
  await mkdir(parent, { recursive: true, mode: 0o700 })
  return mkdtemp(join(parent, 'import-'))
}
