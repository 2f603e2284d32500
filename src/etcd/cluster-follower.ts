/**
 * Follows the cluster at one of its endpoints: reads it once as a whole, then watches it from there on, and goes on
 * from the last revision that was applied wherever the next endpoint is (protocols/strong-mode.md §5).
 */
import { GRPCOutOfRangeError, GRPCResourceExhastedError, type IEvent, type IKeyValue } from 'etcd3'
import { messageOf, NodeError } from '../base/errors.ts'
import {
  clusterCallTimeoutMs,
  clusterHeartbeatMs,
  clusterPageRecordsMax,
  clusterUpkeepIntervalMs,
  clusterWaitingRetryMs,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { delay } from '../base/wait.ts'
import { placeOf } from '../registry/record.ts'
import type { Range, RecordIndex } from '../registry/record-index.ts'
import type { ClusterEndpoint } from './cluster-client.ts'
import type { Arrival, ClusterInbox, Standing } from './cluster-inbox.ts'
import type { ClusterKeys, Offer } from './cluster-keys.ts'
import type { ClusterProgress } from './cluster-progress.ts'
import type { ClusterUpkeep } from './cluster-upkeep.ts'

export interface ClusterFollowerParts {
  readonly keys: ClusterKeys
  readonly inbox: ClusterInbox
  readonly progress: ClusterProgress
  readonly upkeep: ClusterUpkeep
  readonly index: Pick<RecordIndex, 'within'>
  readonly log: Logger
}

/** A value that was seen in the cluster at its revision: another history hardly has the same there. */
interface Landmark {
  readonly key: Buffer
  readonly value: Buffer
  readonly revision: number
}

/** Sorts after every place: places begin with a slash. */
const AFTER_ALL = '0'

export class ClusterFollower {
  readonly #parts: ClusterFollowerParts
  #landmark: Landmark | undefined
  /** Something of ours the cluster would not take: it is offered once more after a while. */
  #owing = false
  #readAtMs = 0
  #judgedAtMs = 0

  constructor(parts: ClusterFollowerParts) {
    this.#parts = parts
  }

  /** Follows until something breaks or `signal` aborts; then it throws what it was. */
  async follow(endpoint: ClusterEndpoint, outer: AbortSignal): Promise<never> {
    const { progress } = this.#parts
    await this.#recognize(endpoint)
    if (progress.applied === undefined) progress.advance(await this.#read(endpoint))
    const ending = new AbortController()
    const signal = AbortSignal.any([outer, ending.signal])
    const loops = [this.#watch(endpoint, signal, ending), this.#look(endpoint, signal)]
    // Whichever ends first ends the other, and both have ended when this returns.
    await Promise.all(loops.map((loop) => loop.catch((error: unknown) => ending.abort(error))))
    throw signal.reason
  }

  /**
   * [F4] A cluster that was made anew, or from a backup, counts its revisions anew: what was applied of another history
   * says nothing. The history is the same when it still has at a revision what was seen there.
   */
  async #recognize(endpoint: ClusterEndpoint): Promise<void> {
    const { keys, progress, log } = this.#parts
    const { revision } = await endpoint.ask(keys)
    if (progress.applied === undefined) return
    if (Number(revision) >= progress.applied && (await this.#stands(endpoint))) return
    log.warn({ endpoint: endpoint.url }, 'the etcd cluster has another history than before; it is read anew')
    this.#restart()
  }

  #restart(): void {
    this.#parts.progress.restart()
    this.#parts.inbox.restart()
  }

  async #stands(endpoint: ClusterEndpoint): Promise<boolean> {
    if (this.#landmark === undefined) return true
    const { key, value, revision } = this.#landmark
    try {
      const [kv] = (await endpoint.range({ key, revision: String(revision) })).kvs
      return kv !== undefined && Number(kv.mod_revision) === revision && kv.value.equals(value)
    } catch (error) {
      // Compacted, so that it cannot be told any more, or not yet reached.
      if (error instanceof GRPCOutOfRangeError) return false
      throw error
    }
  }

  async #watch(endpoint: ClusterEndpoint, signal: AbortSignal, ending: AbortController): Promise<void> {
    const { keys, inbox, progress, log } = this.#parts
    const start_revision = String((progress.applied ?? 0) + 1)
    const request = { ...keys.below(), start_revision, progress_notify: true, fragment: true }
    const silent = new NodeError('REGISTRY_UNREACHABLE', `${endpoint.url} does not begin to watch`)
    const timer = setTimeout(() => ending.abort(silent), clusterCallTimeoutMs)
    try {
      for await (const response of endpoint.watch(request, signal)) {
        if (Number(response.compact_revision) > 0) {
          log.info({ applied: progress.applied }, 'the etcd cluster was compacted meanwhile; it is read anew')
          this.#restart()
          throw new NodeError('REGISTRY_UNREACHABLE', 'The history of the cluster was compacted')
        }
        if (response.canceled) throw new NodeError('REGISTRY_UNREACHABLE', response.cancel_reason)
        if (response.created) {
          clearTimeout(timer)
          progress.follow()
          continue
        }
        await this.#apply(response.events)
        const last = response.events.at(-1)
        // Only a response without events says with its header that there is nothing more up to there; and a fragment
        // ends within a revision.
        if (last === undefined) progress.advance(Number(response.header.revision))
        else if (!response.fragment) progress.advance(Number(last.kv.mod_revision))
        if (inbox.hasNews && response.events.some(({ kv }) => keys.place(kv.key).startsWith('/members/'))) {
          await inbox.again()
        }
      }
    } finally {
      clearTimeout(timer)
    }
  }

  async #apply(events: readonly IEvent[]): Promise<void> {
    const { keys, inbox } = this.#parts
    let puts: Arrival[] = []
    for (const { type, kv } of events) {
      if (type === 'Put') puts.push(this.#arrival(kv))
      if (type !== 'Put' || puts.length >= clusterPageRecordsMax) {
        await inbox.take(puts)
        puts = []
        if (type !== 'Put') inbox.lose(keys.place(kv.key))
      }
    }
    await inbox.take(puts)
  }

  /** What is done from time to time while the cluster is followed. */
  async #look(endpoint: ClusterEndpoint, signal: AbortSignal): Promise<void> {
    const { keys, inbox, upkeep, log } = this.#parts
    for (;;) {
      await delay(Math.min(clusterHeartbeatMs, clusterUpkeepIntervalMs), signal)
      await endpoint.ask(keys)
      const now = performance.now()
      if (inbox.hasNews || now - this.#judgedAtMs > clusterWaitingRetryMs) {
        this.#judgedAtMs = now
        await inbox.again()
      }
      if (now - this.#readAtMs > clusterWaitingRetryMs && (inbox.takeOverflow() || this.#owing)) {
        await this.#read(endpoint)
      }
      try {
        await upkeep.look(endpoint)
      } catch (error) {
        log.warn(
          { error: messageOf(error) },
          'the etcd cluster keeps what is outlived until it can be written',
        )
      }
    }
  }

  /**
   * [R1, U4] Reads the whole registry of the cluster and offers it what it lacks.
   *
   * @returns the revision from which on only the watch knows what has changed.
   */
  async #read(endpoint: ClusterEndpoint): Promise<number> {
    const { inbox, log } = this.#parts
    this.#readAtMs = performance.now()
    this.#owing = false
    if (this.#parts.progress.applied === undefined) this.#landmark = undefined
    // [R2] Without the admissions the records of new members would have to wait.
    for await (const page of this.#pages(endpoint, '/members/', '/members0')) await inbox.take(page.arrivals)
    let revision: number | undefined
    for await (const page of this.#pages(endpoint, '/', AFTER_ALL)) {
      // Pages are not read at one revision, which might be compacted meanwhile: the watch tells the differences.
      revision ??= page.revision
      const standings = await inbox.take(page.arrivals)
      await this.#offer(endpoint, this.#lacking(page, standings))
    }
    await inbox.again()
    log.info({ endpoint: endpoint.url, revision }, 'the etcd cluster was read')
    return revision ?? 0
  }

  /** The records of ours that the cluster lacks within a page, or has in an older form. */
  #lacking(page: Page, standings: readonly Standing[]): Offer[] {
    const held = new Map(
      page.arrivals.map((arrival, index) => [arrival.place, { arrival, standing: standings[index] }]),
    )
    const offers: Offer[] = []
    for (const record of this.#parts.index.within(page)) {
      const there = held.get(placeOf(record))
      if (there === undefined) offers.push({ record, known: 0 })
      else if (there.standing === 'older') offers.push({ record, known: there.arrival.revision })
    }
    return offers
  }

  /** A cluster that takes no writes (its disk is full, the account may only read) can be followed all the same. */
  async #offer(endpoint: ClusterEndpoint, offers: readonly Offer[]): Promise<void> {
    if (offers.length === 0 || this.#owing) return
    const { upkeep, log } = this.#parts
    try {
      await upkeep.offer(endpoint, offers)
    } catch (error) {
      this.#owing = true
      log.warn({ error: messageOf(error) }, 'the etcd cluster lacks records and does not take them')
    }
  }

  /** The next page is on its way while one is judged. */
  async *#pages(endpoint: ClusterEndpoint, start: string, end: string): AsyncGenerator<Page> {
    let coming: Promise<Page> | undefined = this.#page(endpoint, start, end)
    while (coming !== undefined) {
      const page: Page = await coming
      coming = page.to === end ? undefined : this.#page(endpoint, page.to, end)
      // Who stops at this page does not wait for the next.
      coming?.catch(() => undefined)
      yield page
    }
  }

  async #page(endpoint: ClusterEndpoint, from: string, end: string): Promise<Page> {
    for (let limit = clusterPageRecordsMax; ; limit = Math.ceil(limit / 8)) {
      try {
        const { header, kvs, more } = await endpoint.range({ ...this.#parts.keys.between(from, end), limit })
        const arrivals = kvs.map((kv) => this.#arrival(kv))
        const last = arrivals.at(-1)
        const to = more && last !== undefined ? `${last.place}\0` : end
        return { from, to, revision: Number(header.revision), arrivals }
      } catch (error) {
        // Rubbish may be larger than any record; then fewer at once fit an answer.
        if (!(error instanceof GRPCResourceExhastedError) || limit === 1) throw error
      }
    }
  }

  #arrival({ key, value, mod_revision }: IKeyValue): Arrival {
    const revision = Number(mod_revision)
    if (revision >= (this.#landmark?.revision ?? 0)) this.#landmark = { key, value, revision }
    return { place: this.#parts.keys.place(key), envelope: value, revision }
  }
}

interface Page extends Range {
  readonly to: string
  readonly revision: number
  readonly arrivals: readonly Arrival[]
}
