import type { OpenAPIHono } from '@hono/zod-openapi'
import { SCOPES } from '../identity/scopes.ts'
import { scopeOf } from './scopes.ts'

const VERSION = '1'
const METHODS = ['get', 'post', 'put', 'patch', 'delete'] as const

type Document = ReturnType<OpenAPIHono['getOpenAPI31Document']>

/**
 * The API's description (OpenAPI 3.1), made of the routes themselves, so that it cannot say anything else than they do.
 * With each operation stands the least scope that opens it.
 */
export function openApiDocument(app: OpenAPIHono): Document {
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'MAO node',
      version: VERSION,
      description: `Errors are RFC 9457 problems with a code. The owner's token stands in the data directory, in api-token; others are made by "maoctl token create". Scopes, each with what those before it open: ${SCOPES.join(', ')}.`,
    },
    security: [{ token: [] }],
  })
  for (const [path, operations] of Object.entries(document.paths ?? {})) {
    const template = path.replace(/\{(\w+)\}/g, ':$1')
    for (const method of METHODS) {
      const operation = operations?.[method]
      if (operation === undefined || operation.security !== undefined) continue
      operation.security = [{ token: [scopeOf(method.toUpperCase(), template)] }]
    }
  }
  return document
}

/** Serves the description, to whoever may read anything at all. */
export function serveOpenApi(app: OpenAPIHono): void {
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' })
  app.get('/api/v1/openapi.json', (c) => c.json(openApiDocument(app)))
}
