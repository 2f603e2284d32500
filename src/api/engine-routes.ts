import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { nameSchema } from '../base/names.ts'
import type { ApiNode } from './api-node.ts'
import { newRoutes, tells } from './routing.ts'

const networkSchema = z.object({
  bridge: z
    .enum(['guarded', 'ready', 'vouched', 'refused'])
    .describe(
      'whether steps get a bridge behind which they reach no neighbour; ready: with the first such step; vouched: by the operator',
    ),
  why: z.string().optional().describe('why such steps are refused'),
  commands: z
    .array(z.string())
    .optional()
    .describe('what an operator runs as root on the machine of the engine before vouching for it'),
})

export const engineViewSchema = z
  .object({
    id: z.string().describe('its name in the settings; local for that of docker.socketPath'),
    up: z.boolean(),
    problem: z.string().optional().describe('why it is not up'),
    kind: z.enum(['docker', 'swarm']).optional().describe('swarm: steps become jobs on any of its machines'),
    version: z.string().optional(),
    machines: z.int().optional().describe('on which steps may run'),
    cpus: z.number().describe('that runs may take'),
    memoryBytes: z.int(),
    diskBytes: z.int(),
    gpus: z.array(z.string()).describe('devices that are given to one run at a time'),
    sharesFiles: z.boolean().optional().describe("whether it sees this node's files; else they are carried"),
    labels: z.record(z.string(), z.string()).optional(),
    network: networkSchema.optional(),
    note: z.string().optional().describe('what an operator should know'),
  })
  .meta({ id: 'Engine' })
export type EngineView = z.output<typeof engineViewSchema>

const list = createRoute({
  method: 'get',
  path: '/engines',
  summary: 'The container engines of this node, as they were some seconds ago at most',
  responses: tells(z.array(engineViewSchema), 'In the order of the settings'),
})

const show = createRoute({
  method: 'get',
  path: '/engines/{engine}',
  summary: 'One container engine, looked at now',
  request: { params: z.object({ engine: nameSchema }) },
  responses: tells(engineViewSchema, 'The engine'),
})

export function engineRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(list, async (c) => {
    const states = await node.federation.execution.engines.states()
    return c.json(
      states.map((state) => engineViewSchema.parse(state)),
      200,
    )
  })
  routes.openapi(show, async (c) => {
    const { engine } = c.req.valid('param')
    const { engines } = node.federation.execution
    if (!engines.ids.includes(engine)) {
      const message = `This node has no container engine named ${engine}; it has ${engines.ids.join(', ')}`
      throw new NodeError('NOT_FOUND', message, { engine })
    }
    return c.json(engineViewSchema.parse(await engines.lookAt(engine)), 200)
  })
  return routes
}
