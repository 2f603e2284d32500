import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { keyBytesMax } from '../base/limits.ts'
import type { Entry } from '../registry/watchers.ts'
import type { ApiNode } from './api-node.ts'
import { readable } from './events.ts'
import { namedView } from './named-view.ts'
import { newRoutes, tells } from './routing.ts'
import { digestSchema, type EntryView, entrySchema, notificationViewSchema } from './views.ts'

const ENTRIES_TOLD_DEFAULT = 1_000
const ENTRIES_TOLD_MAX = 10_000

const keySchema = z.string().max(keyBytesMax)

const list = createRoute({
  method: 'get',
  path: '/registry',
  summary: 'What the registry shows below a prefix, for looking',
  request: {
    query: z.strictObject({
      prefix: keySchema.default('/'),
      limit: z.coerce.number().int().min(1).max(ENTRIES_TOLD_MAX).default(ENTRIES_TOLD_DEFAULT),
    }),
  },
  responses: tells(z.array(entrySchema), 'Sorted by key'),
})

const show = createRoute({
  method: 'get',
  path: '/registry/entry',
  summary: 'What the registry shows at one key',
  request: { query: z.strictObject({ key: keySchema.min(1) }) },
  responses: tells(entrySchema, 'The entry'),
})

const digest = createRoute({
  method: 'get',
  path: '/registry/digest',
  summary: 'One hash over all records: nodes with equal digests hold the same registry',
  responses: tells(digestSchema, 'The digest'),
})

const notifications = createRoute({
  method: 'get',
  path: '/notifications',
  summary: 'The last spike that each member saw in each tool',
  responses: tells(z.array(notificationViewSchema), 'Sorted by tool and member'),
})

export function registryRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(list, (c) => {
    const { prefix, limit } = c.req.valid('query')
    return c.json(node.federation.registry.list(prefix).slice(0, limit).map(entryView), 200)
  })
  routes.openapi(show, (c) => {
    const { key } = c.req.valid('query')
    const entry = node.federation.registry.get(key)
    if (entry === undefined) throw new NodeError('NOT_FOUND', `The registry shows nothing at ${key}`, { key })
    return c.json(entryView(entry), 200)
  })
  routes.openapi(digest, (c) => {
    const { registry } = node.federation
    return c.json({ digest: registry.digest(), revision: registry.revision }, 200)
  })
  routes.openapi(notifications, (c) => {
    return c.json(node.federation.execution.notifications.list().map(namedView), 200)
  })
  return routes
}

function entryView(entry: Entry): EntryView {
  const { key, author, version, timeMs, expiresMs, revision, contested } = entry
  const expiry = expiresMs === undefined ? {} : { expiresMs }
  return { key, value: readable(entry.value), author, version, timeMs, ...expiry, revision, contested }
}
