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
  readonly toolListings: readonly ListingView[]
}

/** @throws NodeError NO_FEDERATION */
export async function lookAround(client: ApiClient): Promise<Seen> {
  const [pipelines, tools, datasets, secrets, schedules, listedPipelines, toolListings] = await Promise.all([
    client.get('/pipelines', z.array(pipelineViewSchema)),
    client.get('/tools', z.array(toolViewSchema)),
    client.get('/datasets', z.array(datasetSchema)),
    client.get('/secrets', z.array(secretSchema)),
    client.get('/schedules', z.array(scheduleViewSchema)),
    client.get('/market', z.array(listingSchema), { kind: 'pipeline' }),
    client.get('/market', z.array(listingSchema), { kind: 'tool' }),
  ])
  return {
    ...{ pipelines, secrets, schedules, toolListings },
    tools: tools.map(({ name }) => name),
    datasets: datasets.map(({ name }) => name),
    scheduled: schedules.filter(({ paused }) => !paused).map(({ pipeline }) => pipeline),
    listed: {
      pipelines: listedPipelines.flatMap(listedPipeline),
      tools: [...new Set(toolListings.map(({ name }) => name))],
    },
  }
}

/** A stranger's body may be anything; one that is no pipeline is none. */
function listedPipeline(listing: ListingView): ListedPipeline[] {
  const { name, description, author, standing, member, body } = listing
  const parsed = pipelineSchema.shape.steps.safeParse(body.steps)
  if (!parsed.success) return []
  const who = member === undefined ? {} : { member }
  return [{ name, description, author, standing, ...who, steps: parsed.data }]
}
