/**
 * The node in figures, for Prometheus. Names follow its conventions; a label never holds what members or clients make up
 * without end (keys, peer ids, paths), so the number of series is bounded by this file.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { datasetsMeasuredMax, SECOND_MS } from '../base/limits.ts'
import { ALLOWED } from '../execution/runs/run.ts'
import { ROLES } from '../federation/keyspace.ts'
import { VERSION } from '../node.ts'
import { EVERY_KEY } from '../registry/key-range.ts'
import { EVERYTHING } from '../registry/record-index.ts'
import type { ApiNode, ApiRooms } from './api-node.ts'
import type { Flush, Meters } from './meters.ts'
import { peersView } from './peer-routes.ts'
import { withRooms } from './with-rooms.ts'

export interface NodeMetricsParts {
  readonly node: ApiNode
  readonly watches: { readonly open: number }
}

/** From a write that hits the disk's cache to a disk that is stuck. */
const FLUSH_BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10]
const FLUSHED_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024]

let processRegistry: Registry | undefined

/** What is the process's, however many nodes it runs; watching it twice would cost twice. */
function processMetrics(): Registry {
  if (processRegistry === undefined) {
    processRegistry = new Registry()
    collectDefaultMetrics({ register: processRegistry })
  }
  return processRegistry
}

/** A node that is in no federation, or does not count something, has no sample of it. */
type Read<T> = () => T | undefined
type Sum = readonly (readonly [label: string, value: number])[]

export class NodeMetrics {
  readonly registry = new Registry()
  readonly #node: ApiNode
  #flushes: { readonly seconds: Histogram; readonly works: Histogram } | undefined
  #recordBytes = { digest: '', bytes: 0 }

  constructor({ node, watches }: NodeMetricsParts) {
    this.#node = node
    this.#labelled('mao_build_info', 'Always 1', 'version', () => [[VERSION, 1]])
    this.#gauge(
      'mao_peers_connected',
      'Peers of all kinds with a connection',
      () => node.connectedPeers().length,
    )
    this.#gauge('mao_federated', 'Whether the node is in a federation', () => Number(node.hasFederation))
    this.#gauge('mao_registry_watches', 'Watches that are open through the API', () => watches.open)
    this.#ofRegistry()
    this.#ofMembers()
    this.#ofWork()
  }

  /** Hears of writes, where the registry tells of them, until the signal aborts. */
  follow(signal: AbortSignal): void {
    withRooms(this.#node, signal, ({ meters }) => meters?.onFlush?.((flush) => this.#flushed(flush)))
  }

  /** The text format of Prometheus, version 0.0.4. */
  async text(): Promise<string> {
    const texts = await Promise.all([this.registry.metrics(), processMetrics().metrics()])
    return texts.join('\n')
  }

  get contentType(): string {
    return Registry.PROMETHEUS_CONTENT_TYPE
  }

  #ofRegistry(): void {
    const of = (name: string, help: string, read: (rooms: ApiRooms) => number | undefined) =>
      this.#gauge(`mao_registry_${name}`, help, () => this.#rooms(read))
    of('revision', 'Changes that this node has counted', ({ registry }) => registry.revision)
    of(
      'compacted_revision',
      'What was replaced before it is forgotten',
      ({ registry }) => registry.keyValues.compacted,
    )
    of('records', 'Sealed records, tombstones included', ({ registry }) => registry.index.size)
    of('record_bytes', 'Sealed records in bytes', (rooms) => this.#bytesOf(rooms))
    of('keys', 'Keys that show a value, shared and local', ({ registry }) =>
      registry.keyValues.count(EVERY_KEY),
    )
    of('history_bytes', 'All versions of keys that are kept', ({ registry }) =>
      registry.keyValues.sizeBytes(),
    )
    of('history_changes', 'Changes that can still be watched', ({ meters }) => meters?.historyChanges)
    of('watchers', 'Rooms of the node and clients that hear of changes', ({ meters }) => meters?.watchers)
    of('leases', 'Leases that keys may hang on', ({ registry }) => registry.keyValues.leases.list().length)
    this.#counter(
      'mao_registry_verdicts_total',
      'Records that were judged, by what was said of them',
      'code',
      (meters) => (meters.verdicts === undefined ? undefined : [...meters.verdicts]),
    )
    this.#counter(
      'mao_gossip_messages_total',
      'Gossip messages by what became of them',
      'verdict',
      (meters) => (meters.gossip === undefined ? undefined : Object.entries(meters.gossip)),
    )
    this.#counter(
      'mao_etcd_calls_total',
      'Calls of etcd clients, by the status they got',
      'status',
      (meters) => (meters.etcdCalls === undefined ? undefined : [...meters.etcdCalls]),
    )
  }

  #ofMembers(): void {
    this.#gauge('mao_members', 'Members of the federation', () =>
      this.#rooms(({ members }) => members.list().length),
    )
    this.#labelled('mao_members_by_role', 'Members of the federation by role', 'role', () =>
      this.#rooms(({ members }) =>
        ROLES.map((role) => [role, countOf(members.list(), (one) => one.role === role)]),
      ),
    )
    this.#gauge('mao_members_online', 'Members that are connected or said lately that they are there', () =>
      this.#rooms(({ members, presences }) =>
        countOf(members.list(), ({ peer }) => presences.seen(peer).online),
      ),
    )
    this.#gauge(
      'mao_market_listings',
      'Listings that this node knows',
      () => this.#node.marketplace.list({}).length,
    )
    this.#gauge(
      'mao_tokens',
      "Tokens of the API beside the owner's, expired ones included",
      () => this.#node.tokens.list().length,
    )
    const help = 'Other members by how their registry compares with this one'
    this.#labelled('mao_registry_members', help, 'registry', () =>
      this.#rooms(() => {
        const { same, differing, unknown } = peersView(this.#node)
        return Object.entries({ same, differs: differing, unknown })
      }),
    )
    this.#gauge('mao_sync_running', 'Catch-ups under way', () =>
      this.#rooms(({ sync }) => sync?.progress().filter(({ done }) => !done).length),
    )
    this.#gauge(
      'mao_registry_cluster_connected',
      'In strong mode, whether the etcd cluster takes writes',
      () =>
        this.#rooms(({ cluster }) => (cluster === undefined ? undefined : Number(cluster.state().connected))),
    )
    this.#counter('mao_sync_pulls_total', 'Catch-ups that ended', 'end', ({ catchUps }) =>
      catchUps === undefined ? undefined : Object.entries({ done: catchUps.done, failed: catchUps.failed }),
    )
    this.#counter('mao_sync_records_total', 'Records that catch-ups brought', 'outcome', ({ catchUps }) => {
      if (catchUps === undefined) return undefined
      return Object.entries({ accepted: catchUps.accepted, refused: catchUps.refused })
    })
  }

  #ofWork(): void {
    this.#gauge('mao_datasets', 'Datasets of the federation', () =>
      this.#rooms(({ datasets }) => datasets.list().length),
    )
    this.#labelled(
      'mao_dataset_bytes',
      `Disk space of datasets as last measured, the ${datasetsMeasuredMax} largest`,
      'dataset',
      () =>
        this.#rooms(({ datasets }) =>
          datasets.upkeep
            .measured()
            .slice(0, datasetsMeasuredMax)
            .map(({ dataset, bytes }) => [dataset, bytes] as const),
        ),
    )
    this.#gauge('mao_datasets_bytes', 'Disk space of all datasets as last measured', () =>
      this.#rooms(({ datasets }) => datasets.upkeep.measured().reduce((sum, { bytes }) => sum + bytes, 0)),
    )
    this.#gauge(
      'mao_datasets_collected_timestamp_seconds',
      'When garbage was last collected in a dataset',
      () =>
        this.#rooms(({ datasets }) => {
          const lastMs = datasets.upkeep.lastCollectedMs()
          return lastMs === undefined ? undefined : lastMs / SECOND_MS
        }),
    )
    this.#gauge('mao_checkouts_bytes', 'Disk space of the trees that runs share as inputs', () =>
      this.#rooms(({ datasets }) => datasets.upkeep.checkouts.usage().bytes),
    )
    this.#labelled('mao_runs', 'Runs that this node remembers, by state', 'state', () =>
      this.#rooms(({ execution }) => {
        const counts = new Map<string, number>(Object.keys(ALLOWED).map((state) => [state, 0]))
        for (const { state } of execution.runs()) counts.set(state, (counts.get(state) ?? 0) + 1)
        return [...counts]
      }),
    )
  }

  #rooms<T>(read: (rooms: ApiRooms) => T | undefined): T | undefined {
    return this.#node.hasFederation ? read(this.#node.federation) : undefined
  }

  /** There from the moment on at which the registry tells of its writes. */
  #flushed({ works, durationMs }: Flush): void {
    const registers = [this.registry]
    this.#flushes ??= {
      seconds: new Histogram({
        ...{
          name: 'mao_registry_flush_duration_seconds',
          help: 'Writes of the registry to the disk',
          registers,
        },
        buckets: FLUSH_BUCKETS_SECONDS,
      }),
      works: new Histogram({
        ...{ name: 'mao_registry_flush_writes', help: 'Writes that went to the disk together', registers },
        buckets: FLUSHED_BUCKETS,
      }),
    }
    this.#flushes.seconds.observe(durationMs / SECOND_MS)
    this.#flushes.works.observe(works)
  }

  /** Counted anew only where a record has come or gone: it goes through all of them. */
  #bytesOf({ registry }: ApiRooms): number {
    const digest = registry.index.digest(EVERYTHING)
    if (digest !== this.#recordBytes.digest) {
      const bytes = registry.index.within(EVERYTHING).reduce((sum, { envelope }) => sum + envelope.length, 0)
      this.#recordBytes = { digest, bytes }
    }
    return this.#recordBytes.bytes
  }

  #gauge(name: string, help: string, read: Read<number>): void {
    new Gauge({
      ...{ name, help, registers: [this.registry] },
      collect() {
        const value = read()
        if (value === undefined) this.remove()
        else this.set(value)
      },
    })
  }

  #labelled(name: string, help: string, label: string, read: Read<Sum>): void {
    new Gauge({
      ...{ name, help, labelNames: [label], registers: [this.registry] },
      collect() {
        this.reset()
        for (const [text, value] of read() ?? []) this.set({ [label]: text }, value)
      },
    })
  }

  /** Counted elsewhere from the start of the node on, and read as it stands. */
  #counter(name: string, help: string, label: string, read: (meters: Meters) => Sum | undefined): void {
    const rooms = () => this.#rooms(({ meters }) => (meters === undefined ? undefined : read(meters)))
    new Counter({
      ...{ name, help, labelNames: [label], registers: [this.registry] },
      collect() {
        this.reset()
        for (const [text, value] of rooms() ?? []) this.inc({ [label]: text }, value)
      },
    })
  }
}

function countOf<T>(all: readonly T[], counts: (one: T) => boolean): number {
  return all.filter(counts).length
}
