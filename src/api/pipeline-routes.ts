import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { nameSchema } from '../base/names.ts'
import { parsePipeline } from '../execution/catalogue/pipeline.ts'
import type { ApiNode } from './api-node.ts'
import { approvalViewSchema, revokedSchema } from './approval-view.ts'
import { demandSay } from './claim-rights.ts'
import { namedView } from './named-view.ts'
import { body, isDone, makes, namedParam, newRoutes, tells, withoutUndefined } from './routing.ts'
import { pipelineViewSchema } from './views.ts'

/**
 * The text is read by the pipeline's own parser, whose complaints name steps as people count them; so the body is
 * described here and checked there.
 */
const add = createRoute({
  method: 'post',
  path: '/pipelines',
  summary: 'Register a pipeline from YAML or JSON',
  request: {
    query: z.strictObject({
      name: nameSchema.optional().describe('where the text does not name itself'),
      shareNames: z
        .enum(['true', 'false'])
        .optional()
        .describe('true: all members may read the names of local-only datasets that the pipeline uses'),
    }),
    body: {
      required: true,
      content: {
        'application/yaml': { schema: z.string().describe('name, description and steps; or steps alone') },
      },
    },
  },
  responses: makes(pipelineViewSchema, 'The pipeline as it stands in the registry'),
})

const list = createRoute({
  method: 'get',
  path: '/pipelines',
  summary: 'The pipelines of the federation',
  responses: tells(z.array(pipelineViewSchema), 'Sorted by name'),
})

const show = createRoute({
  method: 'get',
  path: '/pipelines/{name}',
  summary: 'One pipeline',
  request: { params: namedParam },
  responses: tells(pipelineViewSchema, 'The pipeline'),
})

const remove = createRoute({
  method: 'delete',
  path: '/pipelines/{name}',
  summary: 'Take a pipeline out of the registry',
  request: { params: namedParam },
  responses: isDone('It is gone'),
})

const approve = createRoute({
  method: 'post',
  path: '/pipelines/{name}/approve',
  summary: "Give the steps of a pipeline, as they stand now, this node's secrets and data that they ask for",
  request: {
    params: namedParam,
    body: body(
      z.strictObject({
        preview: z.boolean().optional().describe('only tell what there is to approve'),
        fingerprint: z.string().optional().describe('approve nothing unless this is still what it is'),
      }),
    ),
  },
  responses: tells(approvalViewSchema, 'The steps, none where no step asks for anything'),
})

const revoke = createRoute({
  method: 'post',
  path: '/pipelines/{name}/revoke',
  summary: "Take this node's secrets and data back from the steps of a pipeline",
  request: { params: namedParam },
  responses: tells(revokedSchema, 'The steps that had some'),
})

export function pipelineRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  const found = (name: string) => {
    const pipeline = node.federation.execution.pipelines.get(name)
    if (pipeline === undefined) {
      throw new NodeError('PIPELINE_NOT_FOUND', `No pipeline is named ${name}`, { name })
    }
    return pipeline
  }
  routes.openapi(add, async (c) => {
    const { name, shareNames } = c.req.valid('query')
    const options = { shareNames: shareNames === 'true' }
    const text = await c.req.text()
    const chosen = name ?? parsePipeline(text).name
    if (chosen !== undefined) demandSay(c, node, `/pipelines/${chosen}`)
    const added = await node.federation.execution.addPipeline(chosen, text, options)
    return c.json(namedView(added), 201)
  })
  routes.openapi(list, (c) => c.json(node.federation.execution.pipelines.list().map(namedView), 200))
  routes.openapi(show, (c) => c.json(namedView(found(c.req.valid('param').name)), 200))
  routes.openapi(approve, async (c) => {
    const options = withoutUndefined(c.req.valid('json'))
    const view = await node.federation.execution.approve(c.req.valid('param').name, options)
    return c.json(approvalViewSchema.parse(view), 200)
  })
  routes.openapi(revoke, async (c) => {
    const { name: pipeline } = c.req.valid('param')
    return c.json({ pipeline, steps: await node.federation.execution.revoke(pipeline) }, 200)
  })
  routes.openapi(remove, async (c) => {
    const { name } = found(c.req.valid('param').name)
    demandSay(c, node, `/pipelines/${name}`)
    await node.federation.execution.pipelines.remove(name)
    return c.body(null, 204)
  })
  return routes
}
