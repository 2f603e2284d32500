import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { newRoutes, tells, withoutUndefined } from './routing.ts'

/** What the API says of members' past results; the shapes are those of consensus/reliability/reliabilities.ts. */
const counted = z.int().describe('past results that say something of the member')
const agreed = z.int().describe('those of them in which it agreed')

const stepSchema = z
  .object({
    dataset: z.string(),
    step: z.string(),
    counted,
    agreed,
    inARow: z.int().describe('agreements since its last difference'),
    reliability: z.number().describe('(agreed + 1) / (counted + 2)'),
    weight: z.int().optional().describe('what its next ballot weighs, in thousandths; where the rule weighs'),
    proven: z
      .object({ is: z.boolean(), needed: z.int().describe('so many agreements in a row') })
      .optional()
      .describe('whether its word may stand alone; where the rule has results repeated less often'),
    differences: z
      .array(z.object({ round: z.string(), differs: z.int().describe('in so many files and entries') }))
      .readonly()
      .describe('the latest rounds in which it differed, newest first'),
  })
  .meta({ id: 'StepReliability' })

export const reliabilitySchema = z
  .object({
    members: z
      .array(
        z.object({
          peer: z.string(),
          name: z.string(),
          isMember: z.boolean().describe('false for whoever was one'),
          counted,
          agreed,
          steps: z.array(stepSchema).readonly(),
        }),
      )
      .readonly(),
    unknown: z
      .array(z.object({ dataset: z.string(), reason: z.string() }))
      .readonly()
      .describe('datasets whose past results are not on this node'),
  })
  .meta({ id: 'Reliability' })
export type ReliabilityView = z.output<typeof reliabilitySchema>

const list = createRoute({
  method: 'get',
  path: '/reliability',
  summary: "How far members' past results agreed with what was decided, and what follows from it",
  request: {
    query: z.strictObject({
      dataset: nameSchema.optional(),
      member: z.string().min(1).max(100).optional().describe('name or peer id'),
    }),
  },
  responses: tells(reliabilitySchema, 'By name of the member; everybody who has the datasets reads the same'),
})

export function reliabilityRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(list, async (c) => {
    return c.json(await node.federation.reliabilities.list(withoutUndefined(c.req.valid('query'))), 200)
  })
  return routes
}
