import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import { choicesSchema } from '../consensus/hand/choices.ts'
import type { ApiNode } from './api-node.ts'
import { reportSchema } from './report-views.ts'
import { here } from './round-routes.ts'
import { body, newRoutes, tells } from './routing.ts'

const oid = z.string().regex(/^[0-9a-f]{40}$/)
const path = '/rounds/{dataset}/{step}/{slot}'
const params = z.object({ dataset: nameSchema, step: nameSchema, slot: z.string().regex(/^\d{1,16}$/) })
const idOf = ({ dataset, step, slot }: z.output<typeof params>) => `${dataset}/${step}/${slot}`

const report = createRoute({
  method: 'get',
  path: `${path}/report`,
  summary:
    'What the ballots of a round are, how far they agree, where they differ, and what there is to choose from',
  request: { params },
  responses: tells(reportSchema, 'The report'),
})

export const castSchema = z
  .object({
    round: z.string(),
    dryRun: z.boolean(),
    ballot: z.object({ commit: oid, tree: oid }).optional(),
    files: z.int().describe('of the ballot'),
    chosen: z
      .array(
        z.object({
          path: z.string().describe('empty for the whole ballot'),
          entry: z.string().optional(),
          member: z.string().optional(),
          change: z.enum(['base', 'added', 'replaced', 'removed', 'same']),
        }),
      )
      .readonly(),
  })
  .meta({ id: 'CastBallot' })
export type CastView = z.output<typeof castSchema>

const cast = createRoute({
  method: 'post',
  path: `${path}/ballot`,
  summary: "Cast this node's ballot where a dataset's rule lets people choose; once in a round",
  request: {
    params,
    body: body(
      choicesSchema.extend({
        commit: oid
          .optional()
          .describe('instead of choices: own files, committed on the branch vote.<step>-<node>'),
        dryRun: z.boolean().default(false).describe('tell what would be cast, and write nothing'),
      }),
    ),
  },
  responses: tells(castSchema, 'What was cast'),
})

/** What people do with votes. */
export function voteRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(report, async (c) => {
    const { consensus, handBallots, refusals } = node.federation
    const id = idOf(c.req.valid('param'))
    const told = await consensus.report(id)
    const { trigger, state } = told.round
    const candidates = trigger === 'hand' && state === 'open' ? await handBallots.candidates(id) : []
    return c.json({ ...told, round: here(node, told.round), refusals: refusals.of(id), candidates }, 200)
  })
  routes.openapi(cast, async (c) => {
    const { commit, dryRun, ...choices } = c.req.valid('json')
    const choice =
      commit === undefined ? ({ kind: 'choices', choices } as const) : ({ kind: 'commit', commit } as const)
    const { signal } = c.req.raw
    const id = idOf(c.req.valid('param'))
    return c.json(await node.federation.handBallots.cast(id, choice, { dryRun, signal }), 200)
  })
  return routes
}
