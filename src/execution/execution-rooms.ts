/** What execution is made of, in the order in which one part needs another. Nothing is started here. */
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { Database } from '../base/database.ts'
import type { Logger } from '../base/logger.ts'
import type { Datasets } from '../datasets/datasets.ts'
import { withheldAs } from '../datasets/policies.ts'
import type { Members } from '../federation/members.ts'
import { Insights } from '../monitoring/insights.ts'
import { Monitor, notificationSchema } from '../monitoring/monitor.ts'
import { Notifications } from '../monitoring/notifications.ts'
import type { NotificationSettings } from '../monitoring/settings.ts'
import { Collection } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import { Catalogue } from './catalogue/catalogue.ts'
import type { Engines } from './engines/engines.ts'
import { Gateway } from './gateway/gateway.ts'
import { imageRooms } from './images/image-rooms.ts'
import { parseImageRule } from './images/image-rules.ts'
import { Inputs } from './inputs/inputs.ts'
import { Lineage } from './lineage/lineage.ts'
import { RunLogs } from './logs/logs.ts'
import { RunReading } from './logs/run-reading.ts'
import { publishRooms } from './publishing/publish-rooms.ts'
import type { Break } from './queue/broken-runs.ts'
import { Previews } from './queue/preview.ts'
import { queueTerms, RunQueue } from './queue/queue.ts'
import { Submissions } from './queue/submissions.ts'
import { LatePublishing } from './runs/late-publishing.ts'
import { mendRun } from './runs/mending.ts'
import { Reaper } from './runs/reaper.ts'
import { Recovery } from './runs/recovery.ts'
import { RunIds } from './runs/run-ids.ts'
import { type OnRun, RunStore } from './runs/run-store.ts'
import { scheduleRooms } from './schedules/schedule-rooms.ts'
import type { WorkSharing } from './schedules/shared-work.ts'
import type { SealedValues } from './secrets/sealed-values.ts'
import { SecretApprovals } from './secrets/secret-approvals.ts'
import { SecretStore } from './secrets/secret-store.ts'
import { Secrets } from './secrets/secrets.ts'
import type { ExecutionSettings } from './settings.ts'
import { Runner, type RunnerDatasets } from './steps/runner.ts'
import { Staging } from './steps/staging.ts'

export interface ExecutionParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'claims' | 'put' | 'delete' | 'watch'>
  readonly members: Pick<Members, 'self' | 'list' | 'get'>
  /** The members that are there now, as far as this node knows. */
  readonly live: () => readonly string[]
  /** How many ballots a round needs among so many members. */
  readonly quorumOf: (members: number) => number
  /** Says whose result of a scheduled slot is enough; without it, every member's is wanted each time. */
  readonly workSharing?: WorkSharing
  readonly datasets: RunnerDatasets &
    Pick<Datasets, 'list' | 'find' | 'show' | 'upkeep' | 'upstreams' | 'repository' | 'adoptCommit'>
  readonly engines: Engines
  readonly database: Database
  /** What is kept sealed with this node's key: secrets, credentials. */
  readonly sealed: SealedValues
  /** The node's data directory. */
  readonly directory: string
  readonly settings: ExecutionSettings
  readonly notifications: NotificationSettings
  /** 32 bytes that only this node knows, for a purpose; the same whenever it is asked for. */
  readonly keyFor: (purpose: string) => Uint8Array
  readonly dockerSocketPath: string
  /** The node's environment, for secrets. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** This node's peer id. */
  readonly peer: string
  readonly clock: Clock
  readonly log: Logger
}

export type ExecutionRooms = ReturnType<typeof executionRooms>

export function executionRooms(parts: ExecutionParts) {
  const { registry, members, datasets, engines, database, directory, settings, clock, log } = parts
  const { dockerSocketPath, environment, peer } = parts
  const self = () => ({ peer, name: members.self().name })

  // What may be run.
  const catalogue = new Catalogue({ registry, datasets, peer, clock, log })
  const toolOf = (tool: string) => catalogue.tool(tool)
  const imageOf = (tool: string) => toolOf(tool).image
  const serviceOf = (tool: string) => catalogue.tools.get(tool)?.value.service
  const spikes = new Collection({
    registry,
    prefix: '/notifications/',
    schema: notificationSchema,
    log,
  })

  // What has been run.
  const ids = new RunIds(clock)
  const newId = () => ids.next()
  const store = new RunStore({ database, log })
  const logs = new RunLogs(join(directory, 'runs'))
  const reading = new RunReading({ store, logs })

  // What a step needs: an image, directories, secrets.
  const checkouts = { use: (...of: [string, string]) => datasets.upkeep.checkouts.use(...of) }
  const freeBytesMin = () => datasets.upkeep.freeBytesMin
  const imaging = imageRooms({
    ...{ catalogue, engines, datasets, runs: store, database, sealed: parts.sealed, settings, freeBytesMin },
    ...{ directory, clock, log },
  })
  const { pins, images } = imaging
  const place = join(directory, 'staging')
  const staging = new Staging({ datasets, checkouts, freeBytesMin, directory: place, clock, log })
  const inputs = new Inputs({
    ...{ datasets, checkouts, runs: (id: string) => store.get(id), settings: settings.inputs, freeBytesMin },
    bytesMax: settings.outputBytes,
  })
  const publishers = publishRooms({
    ...{ settings, store, datasets, sealed: parts.sealed, environment, database, directory },
    ...{ self, clock, log },
  })
  const obtain = (tool: string, reference: string) => {
    const { signal } = new AbortController()
    return images.obtain({ tool, reference, engine: engines.of(), signal, say: () => undefined })
  }
  const find = (dataset: string) => datasets.find(dataset)
  const findRun = (id: string) => store.find(id)
  const approvals = new SecretApprovals({ database, obtain, imageOf, serviceOf, find, findRun, clock })
  const secretStore = new SecretStore({ sealed: parts.sealed })
  const secrets = new Secrets({ path: join(directory, 'secrets.yaml'), store: secretStore, environment })

  // Running it, and looking at what came out.
  const { repeatLost } = settings
  const mayTell = (dataset: string) => {
    const known = datasets.find(dataset)
    return known !== undefined && withheldAs(known) === undefined
  }
  const { keyFor, notifications: telling } = parts
  const onRun = (heard: OnRun) => store.onRun(heard)
  const notifications = new Notifications({
    settings: telling,
    keyFor,
    onRun,
    runs: () => store.list(),
    self,
    database,
    clock,
    log,
  })
  const watchOf = (tool: string) => ({
    ...catalogue.tools.get(tool)?.value.monitoring,
    ...telling.tools[tool],
  })
  const { deliveries } = notifications
  const { quietMs } = telling
  const monitor = new Monitor({
    ...{ registry, self, mayTell, watchOf, quietMs, deliveries, database, clock, log },
  })
  const reaper = new Reaper({ engines, peer, store, log })
  const recovery = new Recovery({
    ...{ store, staging, datasets, monitor, repeatLost, newId, clock, log },
  })
  const runner = new Runner({
    ...{
      store,
      engines,
      images,
      staging,
      inputs,
      publishers,
      logs,
      secrets,
      approvals,
      datasets,
      toolOf,
      monitor,
    },
    ...{ settings, freeBytesMin, dockerSocketPath, self, newId, clock, log },
  })
  const run = (id: string, signal: AbortSignal) => runner.run(id, signal)
  const mend = (id: string, found: Break) => mendRun({ store, recovery, clock }, id, found)
  const look = () => engines.look()
  const terms = queueTerms(settings)
  const ownerRunsMax = (owner: string) =>
    settings.remote.limits[members.get(owner)?.role === 'operator' ? 'operator' : 'member'].runsMax
  const limits = { ...terms.limits, ownerRunsMax }
  const queue = new RunQueue({ store, run, mend, look, ...terms, limits, clock, log })
  const submissions = new Submissions({
    ...{ catalogue, store, queue, settings: settings.queue, logs, newId, clock, log },
  })
  const imageRules = settings.images.allow.map(parseImageRule)
  const previews = new Previews({
    ...{ catalogue, submissions, queue, datasets, settings, self, secrets, approvals, toolOf, engines },
    ...{ pins, imageRules, publishers, inputs },
  })

  const lineage = new Lineage({ store, submissions, datasets })

  // Running it by itself, here or once for all.
  const { live, quorumOf, workSharing } = parts
  const { scheduler, claimed, timetable } = scheduleRooms({
    ...{ registry, members, datasets, catalogue, submissions, store, database, live, quorumOf },
    ...{ workSharing, newId, peer, clock, log },
  })
  const latePublishing = new LatePublishing({
    ...{ recovery, store, publishers, checkouts, logs, queue, timeoutMs: settings.runTimeoutMs, clock, log },
  })

  // What tools elsewhere say and ask.
  const insights = new Insights({ registry, members, peer })
  const gateway = new Gateway({
    ...{ registry, datasets, insights, database, self, directory: join(directory, 'raw'), clock, log },
  })
  return {
    ...{ insights, gateway },
    ...{ catalogue, spikes, notifications, ids, store, logs, reading, pins, imaging, approvals },
    ...{ secrets, secretStore, latePublishing },
    ...{ reaper, recovery, publishers, queue, submissions, previews, lineage, scheduler, claimed, timetable },
  }
}
