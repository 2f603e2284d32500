import { z } from 'zod'
import { nameSchema } from '../base/names.ts'
import { standingSchema } from './market-views.ts'
import { stepViewSchema } from './views.ts'

const peer = z.string().min(1).max(100).describe('peer id')

const sourceSchema = z
  .object({
    author: peer,
    standing: standingSchema,
    heardMs: z.int().describe('since when this node knows the listing, milliseconds since 1970'),
  })
  .describe('who lists it')

/** `differs`: the federation has another one, which stays. `unclear`: several list it, and nobody said which is meant. */
const stateSchema = z.enum(['here', 'differs', 'add', 'unknown', 'unclear'])

/** What is wanted installed, and how. */
export const installWishSchema = z.strictObject({
  kind: z.literal('pipeline').default('pipeline'),
  name: nameSchema,
  author: peer.optional().describe('whose; a stranger is never taken without being named'),
  toolAuthors: z
    .record(nameSchema, peer)
    .optional()
    .describe('whose tools, by name, where that is not clear'),
  datasets: z
    .enum(['local-only', 'shared'])
    .default('local-only')
    .describe('what datasets become that are missing'),
  shareNames: z
    .boolean()
    .default(false)
    .describe('all members may read the names of local-only datasets that the pipeline uses'),
  dry: z.boolean().default(false).describe('only tell what would be done'),
  fingerprint: z.string().max(100).optional().describe('do nothing unless the plan is still this one'),
})

export const installPlanSchema = z
  .object({
    name: nameSchema,
    source: sourceSchema.optional(),
    state: stateSchema,
    description: z.string(),
    steps: z.array(stepViewSchema),
    tools: z.array(
      z.object({
        name: z.string(),
        state: stateSchema,
        image: z.string().optional().describe('which steps would run'),
        listed: z.string().optional().describe('the image of the listing, where the federation has another'),
        source: sourceSchema.optional(),
      }),
    ),
    datasets: z.array(
      z.object({
        name: z.string(),
        state: z
          .enum(['here', 'empty', 'upstream'])
          .describe('empty: made with nothing in it; upstream: the same, and pulled from there when told to'),
        policy: z.string(),
        upstream: z.object({ url: z.string(), branch: z.string() }).optional(),
        source: sourceSchema.optional(),
      }),
    ),
    asks: z.array(z.string()).describe('what steps ask of a node beyond a box without rights'),
    told: z.array(z.string()).describe('local-only datasets whose names all members would read'),
    blocked: z.array(z.string()).describe('why it cannot be carried out as it is wished'),
    done: z.boolean().describe('whether all of it is there'),
    fingerprint: z.string(),
  })
  .meta({ id: 'InstallPlan', description: 'what installing a pipeline of the marketplace does' })

export type InstallPlanView = z.output<typeof installPlanSchema>

export const importedSchema = z
  .object({
    names: z.array(z.string()).describe('what was taken over'),
    leftOut: z.array(z.object({ entry: z.string(), why: z.string() })),
  })
  .meta({ id: 'Imported' })
