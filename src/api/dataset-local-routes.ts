import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import type { LocalCopy } from '../datasets/removals.ts'
import type { ApiNode } from './api-node.ts'
import { type LocalCopyView, localCopySchema } from './dataset-views.ts'
import { isDone, namedParam, newRoutes, tells } from './routing.ts'

const yesOrNo = z.enum(['true', 'false']).default('false')

const list = createRoute({
  method: 'get',
  path: '/local-datasets',
  summary: "The copies of datasets on this node's disk, those of datasets that are no more included",
  request: { query: z.strictObject({ files: yesOrNo.describe('also count the files of each') }) },
  responses: tells(z.array(localCopySchema), 'Sorted by name'),
})

const remove = createRoute({
  method: 'delete',
  path: '/local-datasets/{name}',
  summary: "Delete this node's copies of a dataset, and copy it no more; the dataset itself stays",
  request: {
    params: namedParam,
    query: z.strictObject({
      force: yesOrNo.describe('also when no other member is known to hold all of it'),
    }),
  },
  responses: isDone('They are gone'),
})

/** What datasets this node holds on its disk. */
export function datasetLocalRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()

  routes.openapi(list, async (c) => {
    const isCounted = c.req.valid('query').files === 'true'
    const copies = await node.federation.datasets.listLocal()
    const views: LocalCopyView[] = []
    for (const copy of copies) {
      const files = isCounted && !copy.former ? await filesIn(node, copy.name) : undefined
      views.push({ ...(await viewOf(node, copy)), ...(files === undefined ? {} : { files }) })
    }
    return c.json(views, 200)
  })

  routes.openapi(remove, async (c) => {
    const force = c.req.valid('query').force === 'true'
    await node.federation.datasets.removeLocal(c.req.valid('param').name, { force })
    return c.body(null, 204)
  })
  return routes
}

async function viewOf(node: ApiNode, copy: LocalCopy): Promise<LocalCopyView> {
  // Written when the repository was laid out, and never again.
  const laidOut = await stat(join(copy.path, 'HEAD')).catch(() => undefined)
  return {
    ...copy,
    ...(laidOut === undefined ? {} : { sinceMs: Math.round(laidOut.mtimeMs) }),
    why: whyOf(node, copy),
  }
}

function whyOf(node: ApiNode, { name, former, followed }: LocalCopy): string {
  if (former) return 'left over: its dataset is no more'
  const why = node.federation.datasets.list().find((dataset) => dataset.name === name)?.why ?? ''
  return followed ? why : `not kept up to date (${why}), stays until it is removed`
}

/** How many files the agreed state holds; undefined where there is none here. */
async function filesIn(node: ApiNode, name: string): Promise<number | undefined> {
  const { datasets } = node.federation
  const truth = (await datasets.show(name)).truth
  if (truth === undefined) return undefined
  const repository = await datasets.repository(name)
  return (await repository.hasCommit(truth)) ? (await repository.listFiles(truth)).length : undefined
}
