import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import { resetReasonCharactersMax } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import type { DatasetView } from '../datasets/dataset-view.ts'
import type { ApiNode } from './api-node.ts'
import {
  collectedSchema,
  datasetSchema,
  fetchedSchema,
  oid,
  verificationSchema,
  wroteResetSchema,
} from './dataset-views.ts'
import { body, namedParam, newRoutes, tells, withoutUndefined } from './routing.ts'

const follow = createRoute({
  method: 'post',
  path: '/datasets/{name}/follow',
  summary: 'Copy a dataset to this node from now on, whatever its rule',
  request: { params: namedParam },
  responses: tells(datasetSchema, 'The dataset'),
})

const unfollow = createRoute({
  method: 'post',
  path: '/datasets/{name}/unfollow',
  summary: 'Copy a dataset no more; what is here stays',
  request: { params: namedParam },
  responses: tells(datasetSchema, 'The dataset'),
})

const fetchNow = createRoute({
  method: 'post',
  path: '/datasets/{name}/fetch',
  summary: 'Bring everything here that members have announced, now; GET /events tells how far it is',
  request: { params: namedParam },
  responses: tells(fetchedSchema, 'What came, and what did not'),
})

const reset = createRoute({
  method: 'post',
  path: '/datasets/{name}/reset',
  summary: "Rewrite one of this node's own branches; all members are told, with the reason, and follow",
  request: {
    params: namedParam,
    body: body(
      z.strictObject({
        step: nameSchema.optional().describe('the branch is <step>-<node>'),
        branch: z.string().min(1).max(200).optional().describe('the branch itself, instead of a step'),
        to: oid,
        reason: z.string().trim().min(1).max(resetReasonCharactersMax),
      }),
    ),
  },
  responses: tells(wroteResetSchema, 'Where the branch was and is'),
})

const verify = createRoute({
  method: 'post',
  path: '/datasets/{name}/verify',
  summary: 'Read every object of a dataset, and compare what is here with what was announced and agreed',
  request: { params: namedParam },
  responses: tells(verificationSchema, 'What was found'),
})

const collect = createRoute({
  method: 'post',
  path: '/datasets/{name}/gc',
  summary: "Pack this node's copy of a dataset, and drop what nothing has led to for long enough",
  request: { params: namedParam },
  responses: tells(collectedSchema, 'What that brought'),
})

/** Work on this node's copies of datasets that is done now, because somebody asks; some of it may take long. */
export function datasetWorkRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()

  routes.openapi(follow, async (c) => {
    return c.json(await node.federation.datasets.follow(c.req.valid('param').name), 200)
  })

  routes.openapi(unfollow, async (c) => {
    return c.json(await node.federation.datasets.unfollow(c.req.valid('param').name), 200)
  })

  routes.openapi(fetchNow, async (c) => {
    return c.json(await fetched(node, c.req.valid('param').name, c.req.raw.signal), 200)
  })

  routes.openapi(reset, async (c) => {
    const { name: dataset } = c.req.valid('param')
    const { step, branch, ...rest } = c.req.valid('json')
    const { datasets } = node.federation
    const named = branch ?? `${step}-${node.name}`
    const done = await datasets.reset({ dataset, ...withoutUndefined({ step, branch }), ...rest })
    return c.json({ branch: named, ...done }, 200)
  })

  routes.openapi(verify, async (c) => {
    const { name } = c.req.valid('param')
    // Whoever hangs up wants no answer any more.
    const { signal } = c.req.raw
    return c.json(await node.federation.datasets.upkeep.verify(name, { signal }), 200)
  })

  // Goes on when the client hangs up: half a collection is of no use.
  routes.openapi(collect, async (c) => {
    return c.json(await node.federation.datasets.upkeep.collect(c.req.valid('param').name), 200)
  })
  return routes
}

/** Brings what can be had; that a member could not give its part is told, and no failure of the rest. */
async function fetched(
  node: ApiNode,
  name: string,
  signal: AbortSignal,
): Promise<z.input<typeof fetchedSchema>> {
  const { datasets } = node.federation
  const before = await datasets.show(name)
  const failures = new Map<string, { code: string; reason: string }>()
  const onFailure = (member: string, error: unknown) => {
    const code = error instanceof NodeError ? error.code : 'INTERNAL'
    failures.set(member, { code, reason: messageOf(error) })
  }
  try {
    await datasets.fetchNow(name, { signal, onFailure })
  } catch (error) {
    if (signal.aborted)
      throw new NodeError('CANCELLED', `Fetching ${name} was broken off`, {}, { cause: error })
    const isTold = failures.size > 0 && error instanceof NodeError && !isNodeError(error, 'DATASET_NOT_FOUND')
    if (!isTold) throw error
  }
  const after = await datasets.show(name)
  const had = heldIn(before)
  const came = after.branches.filter(({ branch, commit, present }) => present && had.get(branch) !== commit)
  const missing = after.branches.filter(({ announced, present }) => announced && !present)
  return {
    dataset: after,
    came: came.map(({ branch, member, commit }) => ({ branch, member, commit })),
    missing: missing.map(({ branch, member, commit }) => ({
      branch,
      member,
      commit,
      ...failures.get(member),
    })),
  }
}

function heldIn({ branches }: DatasetView): ReadonlyMap<string, string> {
  return new Map(branches.filter(({ present }) => present).map(({ branch, commit }) => [branch, commit]))
}
