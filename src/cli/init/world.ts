/** What the node says there is, for the overview. */
import { z } from 'zod'
import { datasetSchema } from '../../api/dataset-views.ts'
import { type ListingView, listingSchema } from '../../api/market-views.ts'
import { type ScheduleView, scheduleViewSchema } from '../../api/schedule-views.ts'
import { secretSchema } from '../../api/secret-views.ts'
import { pipelineViewSchema, toolViewSchema } from '../../api/views.ts'
import { pipelineSchema } from '../../execution/catalogue/pipeline.ts'
import type { ApiClient } from '../client.ts'
import type { ListedPipeline, World } from './overview.ts'

export interface Seen extends World {
  readonly schedules: readonly ScheduleView[]
}

/**
 * @param named pipelines that are wanted by name; each is asked for by itself, since of all listings only so many are told.
 * @throws NodeError NO_FEDERATION
 */
export async function lookAround(client: ApiClient, named: readonly string[]): Promise<Seen> {
  const [pipelines, tools, datasets, secrets, schedules, toolListings, ...listings] = await Promise.all([
    client.get('/pipelines', z.array(pipelineViewSchema)),
    client.get('/tools', z.array(toolViewSchema)),
    client.get('/datasets', z.array(datasetSchema)),
    client.get('/secrets', z.array(secretSchema)),
    client.get('/schedules', z.array(scheduleViewSchema)),
    listed(client, 'tool'),
    ...(named.length === 0 ? [listed(client, 'pipeline')] : []),
    ...[...new Set(named)].map((name) => listed(client, 'pipeline', name)),
  ])
  return {
    ...{ pipelines, secrets, schedules },
    tools: tools.map(({ name }) => name),
    datasets: datasets.map(({ name }) => name),
    scheduled: schedules.filter(({ paused }) => !paused).map(({ pipeline }) => pipeline),
    listed: {
      pipelines: listings.flat().flatMap(listedPipeline),
      tools: [...new Set(toolListings.map(({ name }) => name))],
    },
  }
}

/** What is listed, of one name or of as many as the node tells at once. */
export function listed(client: ApiClient, kind: ListingView['kind'], name?: string): Promise<ListingView[]> {
  return client.get('/market', z.array(listingSchema), { kind, name })
}

/** A stranger's body may be anything; one that is no pipeline is none. */
function listedPipeline(listing: ListingView): ListedPipeline[] {
  const { name, description, author, standing, member, heardMs, body } = listing
  const parsed = pipelineSchema.shape.steps.safeParse(body.steps)
  if (!parsed.success) return []
  const who = member === undefined ? {} : { member }
  return [{ name, description, author, standing, heardMs, ...who, steps: parsed.data }]
}
