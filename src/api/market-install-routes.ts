import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { installsWaitingMax } from '../base/limits.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import { importAsListings, importIntoFederation } from '../marketplace/importing.ts'
import { install, installPlan } from '../marketplace/installing.ts'
import { readMarketFile } from '../marketplace/predecessor.ts'
import type { ApiNode } from './api-node.ts'
import { importedSchema, installPlanSchema, installWishSchema } from './market-install-views.ts'
import { body, makes, newRoutes, tells } from './routing.ts'

const installing = createRoute({
  method: 'post',
  path: '/market/install',
  summary: 'Bring a pipeline with its tools and datasets into the federation, or tell what that would do',
  request: { body: body(installWishSchema) },
  responses: tells(installPlanSchema, 'What was done, or with dry would be'),
})

const importing = createRoute({
  method: 'post',
  path: '/market/import',
  summary: "Take over one of the predecessor's files: as listings of this node, or into its federation",
  request: {
    body: body(
      z.strictObject({
        kind: z.enum(['federation', 'tool', 'pipeline']),
        json: z.string().describe('the text of federations.json, tools.json or pipelines.json'),
        into: z.enum(['market', 'federation']).default('market'),
        datasets: installWishSchema.shape.datasets,
        shareNames: installWishSchema.shape.shareNames,
      }),
    ),
  },
  responses: makes(importedSchema, 'What was taken over, and what was not'),
})

/** Bringing in what others list, and what they wrote before there were listings. */
export function marketInstallRoutes(node: ApiNode): OpenAPIHono {
  const routes = newRoutes()
  // Each plans with what the one before has made, and takes back nothing of it.
  const changes = new SerialQueue(installsWaitingMax)
  const parts = () => {
    const { execution, datasets } = node.federation
    return {
      standingOf: node.marketplace.standingOf,
      listed: (kind: 'tool' | 'pipeline' | 'dataset', name: string) => node.marketplace.list({ kind, name }),
      ...{ execution, datasets },
    }
  }
  routes.openapi(installing, async (c) => {
    const { kind: _, name: pipeline, dry, fingerprint, ...how } = c.req.valid('json')
    const wish = { pipeline, ...how }
    const plan = dry
      ? installPlan(wish, parts())
      : await changes.run(() => install(wish, parts(), fingerprint))
    return c.json(installPlanSchema.parse(plan), 200)
  })
  routes.openapi(importing, async (c) => {
    const { kind, json, into, ...wish } = c.req.valid('json')
    const file = readMarketFile(kind, json)
    const imported =
      into === 'market'
        ? await importAsListings(file, node.marketplace)
        : await changes.run(() => importIntoFederation(file, parts(), wish))
    return c.json(importedSchema.parse(imported), 201)
  })
  return routes
}
