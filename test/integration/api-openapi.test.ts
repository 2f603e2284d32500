import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createApp } from '../../src/api/app.ts'
import { eventView } from '../../src/api/event-view.ts'
import { EventHub } from '../../src/api/events.ts'
import { isListed } from '../../src/api/scopes.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { openDoors } from '../support/open-doors.ts'
import { startTestNode } from '../support/quiet-node.ts'

interface Operation {
  summary?: string
  security?: unknown[]
  parameters?: { in: string; name: string }[]
  requestBody?: { content: Record<string, unknown> }
  responses: Record<string, { description: string; content?: Record<string, unknown> }>
}

interface Document {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, unknown>; securitySchemes: Record<string, unknown> }
}

/** The page is for browsers and no part of the API. */
const PAGE = ['GET /web/app.js', 'GET /web/style.css', 'GET /docs', 'GET /web/docs.js']
const METHODS = ['get', 'post', 'put', 'patch', 'delete']

test('the OpenAPI document describes every route, and says nothing that is not there', async (t) => {
  const node = await startTestNode(t, 'alice')
  const stopping = new AbortController().signal
  const events = new EventHub({ source: node, view: eventView })
  const hosts = new Set(['localhost'])
  const doors = openDoors('token')
  const app = createApp({
    node,
    tokens: doors.tokens,
    limits: doors.limits,
    events,
    hosts,
    stopping,
    log: silentLogger,
  })
  const headers = { host: 'localhost', authorization: 'Bearer token' }
  const response = await app.request('http://localhost/api/v1/openapi.json', { headers })
  assert.equal(response.status, 200)
  const document = (await response.json()) as Document
  assert.equal(document.openapi, '3.1.0')

  const described = Object.entries(document.paths).flatMap(([path, operations]) => {
    return Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
  })
  const served = app.routes
    .filter(({ method }) => METHODS.includes(method.toLowerCase()))
    .map(({ method, path }) => `${method} ${path.replace(/:([a-z]+)(\{[^}]*\})?/gi, '{$1}')}`)
    .filter((route) => route !== 'GET /api/v1/openapi.json' && !PAGE.includes(route))
  assert.deepEqual(described.sort(), [...new Set(served)].sort())

  const operations = Object.entries(document.paths).flatMap(([path, methods]) => {
    return Object.entries(methods).map(([method, operation]) => ({ path, method, operation }))
  })
  for (const { path, method, operation } of operations) {
    const name = `${method} ${path}`
    assert.ok(operation.summary, `${name} has no summary`)
    const codes = Object.keys(operation.responses)
    assert.ok(
      codes.some((code) => code.startsWith('2')),
      `${name} never succeeds`,
    )
    assert.ok(operation.responses.default?.content?.['application/problem+json'], `${name} tells no problem`)
    const free = path === '/healthz' || path === '/readyz'
    const [door] = operation.security as { token?: string[] }[]
    const scope = door?.token?.[0]
    assert.equal(scope === undefined, free, `${name} has other doors than the rest`)
    const template = path.replace(/\{(\w+)\}/g, ':$1')
    // A route that nobody has thought about would be for admins alone, and nobody would know.
    assert(free || isListed(method.toUpperCase(), template), `${name} stands in no line of scopes.ts`)
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter).sort()
    const parameters = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path')
    assert.deepEqual(parameters.map((parameter) => parameter.name).sort(), named, name)
  }

  // Every reference leads somewhere, and names are given once.
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)]
  assert.ok(references.length > 20)
  for (const [, schema = ''] of references) assert.ok(schema in document.components.schemas, schema)
  assert.deepEqual(document.components.securitySchemes, { token: { type: 'http', scheme: 'bearer' } })
  assert.doesNotMatch(JSON.stringify(document), /"schema":\{\}/, 'a schema says nothing')
})
