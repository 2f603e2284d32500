import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { isNodeError, NodeError } from '../base/errors.ts'
import { descriptionCharactersMax, replicasWantedMax } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { datasetDetailSchema, datasetSchema, policySchema, removedSchema } from './dataset-views.ts'
import { body, makes, namedParam, newRoutes, tells, withoutUndefined } from './routing.ts'

export const descriptionSchema = z.string().max(descriptionCharactersMax)

const TOO_MANY_REPLICAS = `at most ${replicasWantedMax} copies can be asked for; without a number every member keeps one`
const replicasSchema = z.int().min(1).max(replicasWantedMax, TOO_MANY_REPLICAS)
/** The same as a word of a query. */
export const replicasQuerySchema = z.coerce.number().int().min(1).max(replicasWantedMax, TOO_MANY_REPLICAS)

const add = createRoute({
  method: 'post',
  path: '/datasets',
  summary: 'Make a new, empty dataset',
  request: {
    body: body(
      z.strictObject({
        name: nameSchema,
        description: descriptionSchema.default(''),
        policy: policySchema.optional(),
        replicas: replicasSchema
          .optional()
          .describe('how many members beside this one are to keep a copy; every one without a word'),
      }),
    ),
  },
  responses: makes(datasetSchema, 'The dataset'),
})

const list = createRoute({
  method: 'get',
  path: '/datasets',
  summary: "The datasets of the federation, and this node's own",
  responses: tells(z.array(datasetSchema), 'Sorted by name'),
})

const show = createRoute({
  method: 'get',
  path: '/datasets/{name}',
  summary: 'One dataset with the branches of its members, and what it takes here',
  request: { params: namedParam },
  responses: tells(datasetDetailSchema, 'The dataset'),
})

const edit = createRoute({
  method: 'patch',
  path: '/datasets/{name}',
  summary: 'Change what is said of a dataset; for who founded it, or an operator',
  request: {
    params: namedParam,
    body: body(
      z.strictObject({
        description: descriptionSchema.optional(),
        policy: z
          .enum(['shared', 'compute-only'])
          .optional()
          .describe('for who founded it, on its own node: what was promised of its objects'),
        replicas: replicasSchema.nullable().optional().describe('null: every member may keep a copy'),
      }),
    ),
  },
  responses: tells(datasetSchema, 'The dataset'),
})

const remove = createRoute({
  method: 'delete',
  path: '/datasets/{name}',
  summary: 'End a dataset for everybody; copies stay where they are until they are removed there',
  request: { params: namedParam },
  responses: tells(removedSchema, 'Where copies still are'),
})

/** Which datasets there are. */
export function datasetRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()

  routes.openapi(add, async (c) => {
    const { name, ...founding } = c.req.valid('json')
    checkReplicas(name, founding)
    return c.json(await node.federation.datasets.add(name, withoutUndefined(founding)), 201)
  })

  routes.openapi(list, (c) => c.json(node.federation.datasets.list(), 200))

  routes.openapi(show, async (c) => {
    const { name } = c.req.valid('param')
    const { datasets } = node.federation
    const shown = await datasets.show(name)
    return c.json({ ...shown, usage: await datasets.upkeep.usage(name) }, 200)
  })

  routes.openapi(edit, async (c) => {
    const change = withoutUndefined(c.req.valid('json'))
    const { name } = c.req.valid('param')
    const { datasets } = node.federation
    checkReplicas(name, {
      replicas: change.replicas ?? undefined,
      policy: (await datasets.show(name)).policy,
    })
    try {
      return c.json(await datasets.edit(name, change), 200)
    } catch (cause) {
      if (!isNodeError(cause, 'CONFLICT')) throw cause
      const message = `The dataset ${name} was founded by another member; it or an operator may change what is said of it`
      throw new NodeError('FORBIDDEN', message, { name }, { cause })
    }
  })

  routes.openapi(remove, async (c) => {
    const { name } = c.req.valid('param')
    const { datasets } = node.federation
    const { replicas } = await datasets.show(name)
    const isHere = (await datasets.listLocal()).some((copy) => copy.name === name && !copy.former)
    await datasets.remove(name)
    const others = replicas.members.map((each) => each.member).filter((member) => member !== node.name)
    return c.json({ name, copies: isHere ? [node.name, ...others] : others }, 200)
  })
  return routes
}

/** @throws NodeError INVALID_INPUT for a number of copies where nobody else may hold one. */
export function checkReplicas(
  name: string,
  {
    replicas,
    policy = 'shared',
  }: { readonly replicas?: number | undefined; readonly policy?: string | undefined },
): void {
  if (replicas === undefined || policy === 'shared') return
  const message = `The dataset ${name} is ${policy}, so that no other member copies it; a number of copies is for shared ones`
  throw new NodeError('INVALID_INPUT', message, { name, policy })
}
