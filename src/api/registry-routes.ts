import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { keyBytesMax } from '../base/limits.ts'
import { endOf, rangeBelow } from '../registry/key-range.ts'
import type { ApiNode } from './api-node.ts'
import { namedView } from './named-view.ts'
import { entryDetail, entryView, keyOf } from './registry-entries.ts'
import { historyView } from './registry-history.ts'
import { digestSchema, entriesSchema, entryDetailSchema, historySchema } from './registry-views.ts'
import type { RevisionClock } from './revision-clock.ts'
import { newRoutes, tells } from './routing.ts'
import { notificationViewSchema } from './views.ts'

const ENTRIES_TOLD_DEFAULT = 1_000
const ENTRIES_TOLD_MAX = 10_000
const VERSIONS_TOLD_DEFAULT = 100
const VERSIONS_TOLD_MAX = 10_000

export const keySchema = z.string().min(1).max(keyBytesMax)
export const prefixSchema = z.string().max(keyBytesMax)
export const revisionSchema = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER)
const flag = z.enum(['true', 'false']).default('false')

const list = createRoute({
  method: 'get',
  path: '/registry',
  summary: "What the registry shows below a prefix: shared keys, and this node's own",
  request: {
    query: z.strictObject({
      prefix: prefixSchema.default(''),
      limit: z.coerce.number().int().min(1).max(ENTRIES_TOLD_MAX).default(ENTRIES_TOLD_DEFAULT),
      revision: revisionSchema.optional().describe('as it was then'),
      keysOnly: flag,
    }),
  },
  responses: tells(entriesSchema, 'Sorted by key'),
})

const show = createRoute({
  method: 'get',
  path: '/registry/entry',
  summary: 'What the registry shows at one key, and who claims it',
  request: {
    query: z.strictObject({ key: keySchema, revision: revisionSchema.optional().describe('as it was then') }),
  },
  responses: tells(entryDetailSchema, 'The entry'),
})

const history = createRoute({
  method: 'get',
  path: '/registry/history',
  summary: 'The versions of one key that this node still keeps',
  request: {
    query: z.strictObject({
      key: keySchema,
      limit: z.coerce.number().int().min(1).max(VERSIONS_TOLD_MAX).default(VERSIONS_TOLD_DEFAULT),
    }),
  },
  responses: tells(historySchema, 'The versions, and since when they are kept'),
})

const digest = createRoute({
  method: 'get',
  path: '/registry/digest',
  summary: 'One hash over all records: nodes with equal digests hold the same registry',
  request: { query: z.strictObject({ prefix: prefixSchema.default('') }) },
  responses: tells(digestSchema, 'The digest'),
})

const notifications = createRoute({
  method: 'get',
  path: '/notifications',
  summary: 'The last spike that each member saw in each tool',
  responses: tells(z.array(notificationViewSchema), 'Sorted by tool and member'),
})

export function registryRoutes(node: ApiNode, revisions: RevisionClock): OpenAPIHono {
  const routes = newRoutes()
  routes.openapi(list, (c) => {
    const { prefix, limit, revision, keysOnly } = c.req.valid('query')
    const { keyValues } = node.federation.registry
    const found = keyValues.range(rangeBelow(keyOf(prefix)), revision)
    const entries = found
      .slice(0, limit)
      .map((kv) => entryView(node.federation, kv, { keysOnly: keysOnly === 'true' }))
    return c.json({ revision: revision ?? keyValues.revision, total: found.length, entries }, 200)
  })
  routes.openapi(show, (c) => {
    const { key, revision } = c.req.valid('query')
    const kv = node.federation.registry.keyValues.get(keyOf(key), revision)
    if (kv === undefined) throw nothingAt(key, revision)
    return c.json(entryDetail(node.federation, kv), 200)
  })
  routes.openapi(history, (c) => {
    const { key, limit } = c.req.valid('query')
    const { keyValues } = node.federation.registry
    const told = historyView(keyValues, keyOf(key), limit, (revision) => revisions.timeOf(revision))
    if (told.total === 0) throw nothingAt(key)
    return c.json(told, 200)
  })
  routes.openapi(digest, (c) => {
    const { prefix } = c.req.valid('query')
    const { index, revision, keyValues } = node.federation.registry
    const range = { from: keyOf(prefix), to: endOf(keyOf(prefix)) }
    const records = index.within(range)
    const bytes = records.reduce((sum, record) => sum + record.envelope.length, 0)
    const told = { digest: index.digest(range), prefix, revision, records: records.length, bytes }
    return c.json({ ...told, keptSince: keyValues.compacted }, 200)
  })
  routes.openapi(notifications, (c) => {
    return c.json(node.federation.execution.spikes.list().map(namedView), 200)
  })
  return routes
}

export function nothingAt(key: string, revision?: number): NodeError {
  const when = revision === undefined ? '' : ` at revision ${revision}`
  return new NodeError('NOT_FOUND', `The registry shows nothing at ${key}${when}`, { key })
}
