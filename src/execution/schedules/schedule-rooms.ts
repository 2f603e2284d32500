/** What schedules are made of. Nothing is started here; the scheduler is started first, for it reads the ledger. */
import type { Clock } from '../../base/clock.ts'
import type { Database } from '../../base/database.ts'
import type { Logger } from '../../base/logger.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Members } from '../../federation/members.ts'
import { Collection } from '../../registry/collection.ts'
import type { Registry } from '../../registry/registry.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { Submissions } from '../queue/submissions.ts'
import type { RunStore } from '../runs/run-store.ts'
import { claimSchema, claimsPrefix } from './claim.ts'
import { ClaimedSlots } from './claimed-slots.ts'
import { Ledger } from './ledger.ts'
import { Scheduler } from './scheduler.ts'
import type { WorkSharing } from './shared-work.ts'
import { SlotRuns } from './slot-runs.ts'
import { Timetable } from './timetable.ts'

export interface ScheduleRoomsParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'watch'>
  readonly members: Pick<Members, 'self' | 'list' | 'get'>
  readonly datasets: Pick<Datasets, 'find'>
  readonly catalogue: Pick<Catalogue, 'schedules' | 'pipelines' | 'pipeline'>
  readonly submissions: Pick<Submissions, 'submit' | 'keepEnded'>
  readonly store: RunStore
  readonly database: Database
  /** The members that are there now, as far as this node knows. */
  readonly live: () => readonly string[]
  /** How many ballots a round needs among so many members. */
  readonly quorumOf: (members: number) => number
  readonly workSharing?: WorkSharing | undefined
  readonly newId: () => string
  /** This node's peer id. */
  readonly peer: string
  readonly clock: Clock
  readonly log: Logger
}

export function scheduleRooms(parts: ScheduleRoomsParts) {
  const { registry, members, catalogue, database, store, peer: self, clock, log } = parts
  const { schedules } = catalogue
  const ledger = new Ledger(database)
  const claims = new Collection({ registry, prefix: claimsPrefix, schema: claimSchema, log })
  const runs = new SlotRuns({ ...parts, ledger })
  const nameOf = (peer: string) => members.get(peer)?.name ?? peer
  const claimed = new ClaimedSlots({ ...parts, schedules, claims, ledger, runs, store, nameOf, self })
  const memberSinceMs = () => members.self().since
  const scheduler = new Scheduler({ schedules, ledger, runs, claimed, memberSinceMs, self, clock, log })
  const timetable = new Timetable({ ...parts, schedules, claims, ledger, runs })
  return { scheduler, claimed, timetable }
}
