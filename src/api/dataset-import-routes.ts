import { rm } from 'node:fs/promises'
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { nameSchema } from '../base/names.ts'
import { unpack } from '../datasets/founding/unpack.ts'
import type { ApiNode } from './api-node.ts'
import { descriptionSchema } from './dataset-routes.ts'
import { datasetSchema } from './dataset-views.ts'
import { makes, newRoutes } from './routing.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { Upload } from './upload.ts'

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

/** Datasets that are made of what somebody sends. */
export function datasetImportRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
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
      return c.json(await datasets.importDirectory(name, directory, { description }), 201)
    } catch (error) {
      await upload.discardRest()
      throw error
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
  return routes
}
