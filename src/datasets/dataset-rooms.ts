/** The rooms behind the datasets of a node, each with the narrowest parts, started in the order in which they stand. */
import { mkdir } from 'node:fs/promises'
import type { Clock } from '../base/clock.ts'
import type { Database } from '../base/database.ts'
import { NodeError } from '../base/errors.ts'
import type { StopStack } from '../base/lifecycle.ts'
import { replicaReportIntervalMs, replicaTakeOverMs, SECOND_MS } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { Members } from '../federation/members.ts'
import type { Streams } from '../network/network.ts'
import type { Collection } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import { CertificateBranches } from './certificate-branches.ts'
import { Copies } from './copies.ts'
import type { DatasetAccess } from './dataset-access.ts'
import type { DatasetEvent } from './dataset-events.ts'
import { DATASET_PREFIX } from './dataset-record.ts'
import type { DatasetView } from './dataset-view.ts'
import { Equivocations } from './equivocations.ts'
import { PackServer } from './exchange/pack-server.ts'
import { Followed } from './followed.ts'
import { Foundings } from './foundings.ts'
import type { PackRepository, Quarantine } from './git/repository.ts'
import { GroundTruths } from './ground-truths.ts'
import { HeadMarks } from './head-marks.ts'
import { HEADS_PREFIX, HeadWatch } from './head-watch.ts'
import type { HeadRecord } from './heads.ts'
import type { KnownDatasets } from './known-datasets.ts'
import { Obtaining } from './obtaining.ts'
import type { OwnMove } from './own-branch-requests.ts'
import { OwnBranches } from './own-branches.ts'
import { StockGit } from './push/stock-git.ts'
import { Removals } from './removals.ts'
import { ReplicaReports } from './replica-reports.ts'
import type { ReplicaRecord } from './replicas.ts'
import { Replicator } from './replicator.ts'
import type { DatasetsSettings } from './settings.ts'
import { Settling } from './settling.ts'
import { type BackendChoice, chooseBackend, Shelf } from './shelf.ts'
import { Showing } from './showing.ts'
import { Upkeep } from './upkeep/upkeep.ts'
import { type UpstreamSettings, Upstreams } from './upstream/upstreams.ts'

export interface DatasetsParts {
  /** Where the repositories lie, as `<name>.git`. */
  readonly directory: string
  readonly backend: BackendChoice
  readonly settings: DatasetsSettings
  readonly upstreams: UpstreamSettings
  readonly database: Database
  readonly registry: Pick<
    Registry,
    'get' | 'list' | 'claims' | 'put' | 'delete' | 'watch' | 'knows' | 'envelope' | 'onEvidence'
  >
  readonly members: Pick<Members, 'get' | 'list' | 'self' | 'isMember' | 'onChange'> &
    Partial<Pick<Members, 'presentOf'>>
  /** Who may have what; where nobody says so, every member may have what is shared. */
  readonly access?: DatasetAccess
  /** Peer ids of the members that are there, as far as anybody knows; by default, those that are connected. */
  readonly live?: () => readonly string[]
  readonly streams: Streams
  /** Hears of each peer that becomes connected (`Network.onConnect`). */
  readonly onConnect: (connected: (peer: string) => void) => () => void
  /** Commits of a dataset that runs name: they are kept. */
  readonly commitsOfRuns?: (dataset: string) => readonly string[]
  /** What is at work with a dataset between its calls, for people; its copy is then not removed. */
  readonly usedBy?: (dataset: string) => string | undefined
  readonly pace?: Pace
  readonly clock: Clock
  readonly log: Logger
}

/** How fast copies change hands, ms; the bounds of limits-heads.ts by default. */
export interface Pace {
  readonly takeOverMs: number
  readonly reportMs: number
  readonly lookMs: number
}

/** What rooms ask of the datasets as a whole. */
export interface DatasetsAsked {
  show(name: string): Promise<DatasetView>
  truth(name: string): Promise<string | undefined>
  repository(name: string): Promise<PackRepository>
  quarantine(name: string): Promise<Quarantine>
}

export interface RoomsParts extends DatasetsParts {
  readonly heads: Collection<HeadRecord>
  readonly replicas: Collection<ReplicaRecord>
  readonly known: KnownDatasets
  readonly asked: DatasetsAsked
  readonly emit: (event: DatasetEvent) => void
}

export interface Rooms {
  readonly shelf: Shelf
  readonly replicator: Replicator
  readonly own: OwnBranches
  readonly truths: GroundTruths
  readonly certificates: CertificateBranches
  readonly watch: HeadWatch
  readonly equivocations: Equivocations
  readonly showing: Showing
  readonly obtaining: Obtaining
  readonly followed: Followed
  readonly reports: ReplicaReports
  readonly foundings: Foundings
  readonly removals: Removals
  readonly upkeep: Upkeep
  readonly stockGit: StockGit
  readonly upstreams: Upstreams
}

const DEFAULT_PACE: Pace = {
  takeOverMs: replicaTakeOverMs,
  reportMs: replicaReportIntervalMs,
  lookMs: 30 * SECOND_MS,
}

/** @throws NodeError INVALID_CONFIG when the git program is asked for and not there. */
export async function startRooms(
  parts: RoomsParts,
  running: StopStack,
  opened: (rooms: Rooms) => void,
): Promise<void> {
  const { directory, settings, database, registry, members, streams, onConnect, clock, log } = parts
  const { heads, replicas, known, asked, emit, access } = parts
  const [self, pace] = [streams.peerId, parts.pace ?? DEFAULT_PACE]
  await mkdir(directory, { recursive: true, mode: 0o700 })

  // What is on the disk, and whose it is.
  await known.load()
  const upkeep = new Upkeep({
    ...{ directory, self, settings, database, registry, clock, log },
    emit: (event) => {
      emit(event)
      // There may be room now for what had none.
      if (event.type === 'garbage-collected') replicator.roomMade(event.dataset)
    },
    ...{ repository: asked.repository, show: asked.show, truth: asked.truth },
    branches: (name) => shelf.branches(name),
    copy: async (name) => {
      known.need(name)
      return shelf.openIfHere(name)
    },
    onMissing: (name) => replicator.mend(name),
    commitsOfRuns: parts.commitsOfRuns ?? (() => []),
  })
  const shelf = new Shelf(directory, await chooseBackend(parts.backend), upkeep.guard)
  running.push('repositories', () => shelf.close())
  await shelf.tidy()
  const [marks, equivocations] = [new HeadMarks({ database, self }), new Equivocations(database)]
  await marks.load((name) => heads.get(name) === undefined && registry.knows(HEADS_PREFIX + name))
  await equivocations.load()
  const copies = new Copies({ known, disk: shelf, forget: (id) => marks.forget(id) })
  shelf.useFor(copies, upkeep)

  // What members say, and what of it is copied.
  const watch = new HeadWatch({ registry, members, known, marks, equivocations, emit })
  running.push(
    'evidence',
    registry.onEvidence((record) => {
      watch.contradicted(record).catch((error: unknown) => log.error({ error }, 'a proof was not kept'))
    }),
  )
  running.push(
    'heads that are taken back',
    heads.watch((name, item) => {
      if (item === undefined)
        watch.gone(name).catch((error: unknown) => log.error({ error }, 'a head was not forgotten'))
    }),
  )
  const isGranted = (peer: string, name: string) => access?.mayRead(peer, name, known.get(name)) !== false
  const live = parts.live ?? (() => streams.connectedPeers())
  const followed = new Followed({
    ...{ self, rule: settings.follow, database, known, members, emit },
    mayRead: isGranted,
    live,
    patienceMs: pace.takeOverMs,
    lookMs: pace.lookMs,
    onChange: (name) => replicator.look(name),
  })
  await followed.load()
  const follows = (name: string) => followed.follows(name)
  const replicator = new Replicator({
    holds: (peer, dataset) => {
      const name = `${dataset}/${peer}`
      return heads.get(name) !== undefined || replicas.get(name) !== undefined
    },
    live,
    ...{ self, streams, onConnect, members, heads, known, watch, follows, shelf, emit, clock, log },
  })
  const truths = new GroundTruths({ self, known, heads, shelf, emit, log })
  running.push('truths', () => truths.stop())
  const own = new OwnBranches({
    ...{ self, members, heads, known, watch, shelf, replicator, emit, clock, log },
    author: parts.settings.author,
    onCommit: (dataset, commit) => truths.followOwn(dataset, commit),
  })
  running.push('own branches', () => own.stop())
  const isMember = (peer: string) => members.isMember(peer)
  const certificates = new CertificateBranches({ self, known, heads, isMember, shelf, own, replicator })
  const reports = new ReplicaReports({
    ...{ self, known, replicas, members, shelf, log, intervalMs: pace.reportMs },
    headsOf: (now) => watch.followable(now, heads.list(`${now.name}/`)),
  })
  running.push('replica reports', () => reports.stop())

  if (access !== undefined) {
    running.push(
      'grants',
      access.onChange((name) => known.lookAgain(name)),
    )
  }
  const obtaining = new Obtaining({ self, mayRead: isGranted, members, known, heads, shelf, replicator })
  const showing = new Showing({
    ...{ self, members, heads, replicas, known, watch, followed, truths, shelf },
    heldUp: (name, items) => replicator.heldUp(name, items),
  })

  // How datasets come and go.
  const foundings = new Foundings({ self, members, known, copies, shelf, own, truths, clock })
  const removals = new Removals({
    ...{ known, copies, shelf, followed, reports, selfName: () => members.self().name },
    nameOf: (peer) => members.get(peer)?.name,
    sealed: (name) => registry.envelope(DATASET_PREFIX + name),
    viewOf: (now) => showing.view(now),
    usedBy: parts.usedBy ?? (() => undefined),
  })
  await foundings.tidy()

  // What reaches them from outside.
  const adopt = (name: string, moves: readonly OwnMove[]) => own.adoptAll(name, moves)
  const stockGit = new StockGit({
    ...{ quarantine: asked.quarantine, adopt, members, log },
    repository: async (name) => {
      const { policy, owner } = known.need(name)
      const isElsewhere = policy === 'compute-only' && owner !== self
      if (isElsewhere) obtaining.checkShared(name, 'git reads it there alone')
      return asked.repository(name)
    },
    whyNotCopied: (name) => {
      const { followed: isCopied, why } = followed.decide(known.need(name))
      if (!isCopied) return { why, verb: 'follow' }
      const isAnnounced = heads.list(`${name}/`).some(({ value }) => Object.keys(value.branches).length > 0)
      return isAnnounced ? { why: 'nothing of it has come yet', verb: 'fetch' } : undefined
    },
  })
  const upstreams = new Upstreams({
    ...{ self, members, known, shelf, truths, database, emit, clock, log },
    settings: parts.upstreams,
    adopt: (adoption) => own.adopt(adoption),
  })
  opened({
    ...{
      shelf,
      replicator,
      own,
      truths,
      certificates,
      watch,
      equivocations,
      followed,
      reports,
      showing,
      obtaining,
    },
    ...{ foundings, removals, upkeep, stockGit, upstreams },
  })
  await running.start('upkeep', upkeep)
  const settling = new Settling({ known, copies, truths, own, followed, replicator, reports, emit, log })
  await running.start('records', settling)
  const server = new PackServer({
    ...{ streams, log },
    repository: async (name) => {
      const repository = await shelf.openIfHere(name)
      if (repository !== undefined) return repository
      throw new NodeError('DATASET_NOT_FOUND', `This node holds nothing of the dataset ${name}`, { name })
    },
    isMember,
    mayRead: (peer, name) => mayRead(known, isMember(peer), name) && isGranted(peer, name),
    onChange: (changed) => {
      const unwatch = [members.onChange(changed), known.watch(changed)]
      if (access !== undefined) unwatch.push(access.onChange(changed))
      return () => {
        for (const end of unwatch) end()
      }
    },
  })
  await running.start('pack server', server)
  await running.start('followed datasets', followed)
  await running.start('replicator', replicator)
  await running.start('upstreams', upstreams)
}

/**
 * [MUST] A dataset that never leaves is to a peer as if it were not there; of one whose objects stay, it is told so
 * (dataset-heads.md H14, H15).
 *
 * @throws NodeError DATASET_WITHHELD
 */
export function mayRead(known: Pick<KnownDatasets, 'get'>, isMember: boolean, name: string): boolean {
  const policy = known.get(name)?.policy
  if (!isMember || policy === undefined || policy === 'local-only') return false
  if (policy === 'shared') return true
  throw new NodeError(
    'DATASET_WITHHELD',
    `The dataset ${name} is compute-only: its objects stay where they are`,
  )
}
