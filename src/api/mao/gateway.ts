import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import type { ApiNode } from '../api-node.ts'
import { body } from '../routing.ts'
import { asJson, maoRoutesApart, says, told } from './answers.ts'
import { pythonJson } from './python-json.ts'

const keySchema = z.object({ key: z.string().min(1) })

const write = createRoute({
  method: 'post',
  middleware: asJson,
  path: '/write',
  summary: 'Tell the federation something for a minute, and have it saved in the dataset that the key names',
  request: {
    body: body(
      keySchema.extend({ value: z.unknown().describe('text; anything else is stored as its JSON') }),
    ),
  },
  responses: says(z.string(), 'The text that is stored'),
})

const read = createRoute({
  method: 'post',
  middleware: asJson,
  path: '/read',
  summary: 'The value at a key of the registry, read as JSON where it is JSON',
  request: { body: body(keySchema) },
  responses: says(z.unknown().describe('any JSON'), 'The value'),
})

const inspect = createRoute({
  method: 'post',
  middleware: asJson,
  path: '/inspect',
  summary: 'All that is below a key of the registry',
  request: { body: body(keySchema) },
  responses: says(z.record(z.string(), z.string()), 'Full keys, and the texts that are stored there'),
})

const NOT_FOUND = 'Key not found'

export function maoGatewayRoutes(node: ApiNode): OpenAPIHono {
  const routes = maoRoutesApart()
  const gateway = () => node.federation.execution.gateway

  routes.openapi(write, async (c) => {
    const { key, value } = c.req.valid('json')
    const text = typeof value === 'string' ? value : pythonJson(value)
    await gateway().write(key, text)
    return told(c, text)
  })
  routes.openapi(read, (c) => {
    const text = gateway().read(c.req.valid('json').key)
    return text === undefined ? told(c, { detail: NOT_FOUND }, 404) : told(c, parsed(text))
  })
  routes.openapi(inspect, (c) => {
    const found = gateway().inspect(c.req.valid('json').key)
    return found === undefined ? told(c, { detail: NOT_FOUND }, 404) : told(c, Object.fromEntries(found))
  })
  return routes
}

/** A text that is no JSON is itself. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
