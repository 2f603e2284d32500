import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { DAY_MS, keysDeletedMax, leaseTtlSecondsMin, SECOND_MS } from '../base/limits.ts'
import { type KeyRange, rangeBelow } from '../registry/key-range.ts'
import type { KeyValue } from '../registry/key-value.ts'
import type { ApiNode, ApiRooms } from './api-node.ts'
import { entryDetail, keyOf } from './registry-entries.ts'
import { ExpiryLeases } from './registry-leases.ts'
import { keySchema, nothingAt, revisionSchema } from './registry-routes.ts'
import { checkValue } from './registry-values.ts'
import { compactedSchema, deletedSchema, entryDetailSchema } from './registry-views.ts'
import type { RevisionClock } from './revision-clock.ts'
import { body, newRoutes, tells } from './routing.ts'

/** What is to end by itself ends in a time that somebody means. */
const EXPIRY_MAX_MS = 10 * 365 * DAY_MS

const valueSchema = z
  .union([
    z.strictObject({ json: z.unknown().refine((value) => value !== undefined, 'is missing') }),
    z.strictObject({ text: z.string() }),
    z.strictObject({ base64: z.base64() }),
  ])
  .describe('the bytes of the value, in one of three ways')

const put = createRoute({
  method: 'put',
  path: '/registry/entry',
  summary: "Write one key: a shared one for all members, any other for this node's own",
  request: {
    body: body(
      z.strictObject({
        key: keySchema,
        value: valueSchema,
        expiresInMs: z
          .int()
          .min(leaseTtlSecondsMin * SECOND_MS)
          .max(EXPIRY_MAX_MS)
          .optional()
          .describe('when it ends by itself, in whole seconds'),
      }),
    ),
  },
  responses: tells(entryDetailSchema, 'The entry as it stands'),
})

const removeOne = createRoute({
  method: 'delete',
  path: '/registry/entry',
  summary: 'Delete one key',
  request: { query: z.strictObject({ key: keySchema }) },
  responses: tells(deletedSchema, 'It is gone'),
})

const removeBelow = createRoute({
  method: 'delete',
  path: '/registry',
  summary: 'Delete all keys below a prefix, at one revision, all or none',
  request: { query: z.strictObject({ prefix: keySchema }) },
  responses: tells(deletedSchema, 'They are gone'),
})

const compact = createRoute({
  method: 'post',
  path: '/registry/compaction',
  summary: 'Forget versions that were replaced before a revision, or longer ago than a time',
  request: {
    body: body(
      z
        .strictObject({
          revision: revisionSchema.optional(),
          keepMs: z.int().min(0).optional().describe('what was replaced more recently stays'),
        })
        .refine(({ revision, keepMs }) => revision === undefined || keepMs === undefined, {
          error: 'either a revision or a time, not both',
        }),
    ),
  },
  responses: tells(compactedSchema, 'How far back this node can still be read and watched'),
})

export function registryWriteRoutes(node: ApiNode, revisions: RevisionClock): OpenAPIHono {
  const routes = newRoutes()
  const leases = new ExpiryLeases()
  const write = async (place: string, bytes: Uint8Array, lease: bigint) => {
    const { keyValues } = node.federation.registry
    const { result: former } = await keyValues.transact(async (tx) => {
      const before = tx.get(place)
      await tx.put(place, bytes, lease)
      return before
    })
    await leases.replaced(keyValues.leases, [former])
  }
  const remove = async (range: KeyRange) => {
    const { gone, revision } = await deleteAll(node.federation, range)
    await leases.replaced(node.federation.registry.keyValues.leases, gone)
    return { deleted: gone.length, revision }
  }
  routes.openapi(put, async (c) => {
    const { key, value, expiresInMs } = c.req.valid('json')
    const { federation } = node
    const { registry } = federation
    const { keyValues } = registry
    const [place, bytes] = [keyOf(key), bytesOf(value)]
    checkValue(key, bytes)
    if (expiresInMs !== undefined && keyValues.kindOf(place) === 'shared') {
      keyValues.refuseRoomsOwn(place)
      // The record itself says when it ends; a lease would be there to be kept alive.
      await registry.put(place, bytes, { expiresMs: Date.now() + wholeSeconds(expiresInMs), shown: true })
    } else if (expiresInMs !== undefined && keyValues.kindOf(place) === 'local') {
      await leases.with(keyValues.leases, expiresInMs, (lease) => write(place, bytes, lease))
    } else await write(place, bytes, 0n)
    const written = keyValues.get(place)
    if (written === undefined) throw nothingAt(key)
    return c.json(entryDetail(federation, written), 200)
  })
  routes.openapi(removeOne, async (c) => {
    const { key } = c.req.valid('query')
    const gone = await remove({ from: keyOf(key), to: undefined })
    if (gone.deleted === 0) throw nothingAt(key)
    return c.json(gone, 200)
  })
  routes.openapi(removeBelow, async (c) => {
    return c.json(await remove(rangeBelow(keyOf(c.req.valid('query').prefix))), 200)
  })
  routes.openapi(compact, async (c) => {
    const { revision, keepMs } = c.req.valid('json')
    const { keyValues } = node.federation.registry
    const before = keyValues.compacted
    const target = revision ?? (keepMs === undefined ? keyValues.revision : revisionOf(revisions, keepMs))
    // A revision that somebody names is refused by the registry where it is gone; a time only says how much is wanted.
    if (revision !== undefined || target > before) await keyValues.compact(target)
    const { compacted: keptSince } = keyValues
    return c.json({ keptSince, revision: keyValues.revision, changed: keptSince > before }, 200)
  })
  return routes
}

function bytesOf(value: z.output<typeof valueSchema>): Uint8Array {
  if ('json' in value) return Buffer.from(JSON.stringify(value.json), 'utf8')
  return 'text' in value ? Buffer.from(value.text, 'utf8') : Buffer.from(value.base64, 'base64')
}

function wholeSeconds(ms: number): number {
  return Math.ceil(ms / SECOND_MS) * SECOND_MS
}

async function deleteAll(
  { registry, members }: ApiRooms,
  range: KeyRange,
): Promise<{ gone: readonly KeyValue[]; revision: number }> {
  const { result, revision } = await registry.keyValues.transact(async (tx) => {
    const present = tx.range(range)
    if (present.length > keysDeletedMax) {
      const message = `${present.length} keys are more than go at once, which is ${keysDeletedMax}; name a longer prefix`
      throw new NodeError('TOO_LARGE', message)
    }
    const gone = await tx.delete(range)
    // What another member claims is still there when our own claim has gone, or was none.
    const [left] = tx.range(range)
    if (left === undefined) return gone
    const author = registry.get(left.key)?.author
    const owner = author === undefined ? 'another member' : (members.get(author)?.name ?? author)
    const message = `${left.key} belongs to ${owner}, so it would stay; nothing was deleted. Its owner or an operator can`
    throw new NodeError('CONFLICT', message, { key: left.key, author })
  })
  return { gone: result, revision }
}

function revisionOf(revisions: RevisionClock, keepMs: number): number {
  const target = revisions.revisionAt(Date.now() - keepMs)
  if (target !== undefined) return target
  const since = revisions.sinceMs === undefined ? 'now' : new Date(revisions.sinceMs).toISOString()
  const message = `This node knows the times of its revisions since ${since} only, which is less long ago; keep less, or name a revision`
  throw new NodeError('INVALID_INPUT', message, { knownSinceMs: revisions.sinceMs })
}
