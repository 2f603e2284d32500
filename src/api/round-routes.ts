import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import type { RoundView } from '../consensus/views.ts'
import type { ApiNode } from './api-node.ts'
import { chainVerificationSchema } from './chain-views.ts'
import { roundSeenAs } from './observed.ts'
import { ownPartOf } from './own-part.ts'
import { roundHereSchema, roundSchema, truthSchema } from './round-views.ts'
import { body, makes, namedParam, newRoutes, tells, withoutUndefined } from './routing.ts'

const open = createRoute({
  method: 'post',
  path: '/rounds',
  summary: "Ask all members for their heads of one step's output, and agree on the result",
  request: {
    body: body(
      z.strictObject({
        dataset: nameSchema,
        step: nameSchema,
        windowMs: z.int().min(1).optional().describe('how long ballots are taken'),
        slot: z
          .int()
          .min(0)
          .optional()
          .describe('time of the round, where it is agreed on elsewhere; default: now'),
      }),
    ),
  },
  responses: makes(roundSchema, 'The round, open'),
})

const list = createRoute({
  method: 'get',
  path: '/rounds',
  summary: 'The rounds that this node knows',
  request: { query: z.strictObject({ dataset: nameSchema.optional() }) },
  responses: tells(z.array(roundHereSchema), 'Newest first'),
})

const show = createRoute({
  method: 'get',
  path: '/rounds/{dataset}/{step}/{slot}',
  summary: 'One round with its ballots and votes',
  request: {
    params: z.object({ dataset: nameSchema, step: nameSchema, slot: z.string().regex(/^\d{1,16}$/) }),
  },
  responses: tells(roundHereSchema, 'The round'),
})

const showTruth = createRoute({
  method: 'get',
  path: '/datasets/{name}/truth',
  summary: 'What the federation agreed on, who agreed, and who differed where',
  request: { params: namedParam },
  responses: tells(truthSchema, 'The truth with its certificate'),
})

const verify = createRoute({
  method: 'get',
  path: '/datasets/{name}/truth/verification',
  summary: 'Whether the truth and all before it follow from their certificates alone, computed anew',
  request: { params: namedParam },
  responses: tells(chainVerificationSchema, 'What holds, and the first that does not'),
})

/** A round with this node's own part in it. */
export function here<R extends RoundView>(node: ApiNode, round: R) {
  return { ...round, mine: ownPartOf(round, node.peerId, Date.now()) }
}

export function roundRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(open, async (c) => {
    const { dataset, step, ...options } = c.req.valid('json')
    return c.json(await node.federation.consensus.open(dataset, step, withoutUndefined(options)), 201)
  })
  routes.openapi(list, (c) => {
    const { dataset } = c.req.valid('query')
    const { scope } = c.get('principal')
    return c.json(
      node.federation.consensus
        .rounds(dataset)
        .reverse()
        .map((round) => roundSeenAs(scope, here(node, round))),
      200,
    )
  })
  routes.openapi(show, (c) => {
    const { dataset, step, slot } = c.req.valid('param')
    const round = node.federation.consensus.round(`${dataset}/${step}/${slot}`)
    return c.json(roundSeenAs(c.get('principal').scope, here(node, round)), 200)
  })
  routes.openapi(showTruth, async (c) => {
    return c.json(await node.federation.consensus.truth(c.req.valid('param').name), 200)
  })
  routes.openapi(verify, async (c) => {
    return c.json(await node.federation.proofs.verify(c.req.valid('param').name), 200)
  })
  return routes
}
