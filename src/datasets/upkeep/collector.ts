/**
 * Keeps repositories small: each has its turn once in an interval, and sooner when much has come in. One at a time,
 * since a collection fights over the disk with all else; when each had its turn last is written down, so that a node
 * that is started often does not put it off for ever.
 */
import type { Clock } from '../../base/clock.ts'
import { DURABLE, type Table } from '../../base/database.ts'
import { isNodeError, messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { gcLookIntervalMs, gcQuietMs, gcRetryMs, gcTimeoutMs, gcWaitingMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { SerialQueue } from '../../base/serial-queue.ts'
import type { DatasetEvent } from '../dataset-events.ts'
import type { GarbageOptions, GarbageResult } from '../git/repository.ts'
import type { Accounts } from './accounts.ts'
import { isDue, placeOf, wantsPacking } from './due.ts'

/** The last collection of a dataset, or when it was first seen. */
export interface Collected {
  readonly lastMs: number
  /** What was left that could not be packed or dropped yet. */
  readonly looseObjects: number
  readonly packs: number
  readonly bytesBefore?: number
  readonly bytesAfter?: number
  readonly durationMs?: number
}

export interface CollectorParts {
  readonly self: string
  readonly table: Table<Collected>
  readonly accounts: Pick<Accounts, 'datasets' | 'size' | 'changed'>
  readonly collect: (dataset: string, options: GarbageOptions) => Promise<GarbageResult>
  /** Commits that stay whether or not a branch leads to them. */
  readonly keeps: (dataset: string) => Promise<readonly string[]>
  readonly intervalMs: number
  readonly pruneAfterMs: number
  readonly emit: (event: DatasetEvent) => void
  readonly clock: Clock
  readonly log: Logger
}

export class Collector implements Startable {
  readonly #parts: CollectorParts
  readonly #notes = new Map<string, Collected>()
  readonly #queue = new SerialQueue(gcWaitingMax)
  readonly #waiting = new Map<string, Promise<Collected | undefined>>()
  /** Something came into these since they were looked at. */
  readonly #touched = new Set<string>()
  /** When those that failed may have their next turn, ms since the epoch. */
  readonly #failedUntil = new Map<string, number>()
  #atWork: { readonly dataset: string; readonly ending: AbortController } | undefined
  #stopping = new AbortController()
  #interval: NodeJS.Timeout | undefined
  #first: NodeJS.Timeout | undefined
  #quiet: NodeJS.Timeout | undefined

  constructor(parts: CollectorParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    if (this.#interval !== undefined) return
    this.#stopping = new AbortController()
    for await (const [dataset, note] of this.#parts.table.iterator()) this.#notes.set(dataset, note)
    this.#interval = setInterval(() => void this.look(), gcLookIntervalMs)
    this.#interval.unref()
    this.#first = setTimeout(() => void this.look(), gcQuietMs)
    this.#first.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#interval)
    clearTimeout(this.#first)
    clearTimeout(this.#quiet)
    this.#interval = undefined
    this.#quiet = undefined
    this.#stopping.abort(new NodeError('CANCELLED', 'The node stops'))
    await this.#queue.idle()
  }

  /** The last collection, if there was one. */
  last(dataset: string): Collected | undefined {
    const note = this.#notes.get(dataset)
    return note?.bytesAfter === undefined ? undefined : note
  }

  /** Something has come in; it is packed once that is worth it. */
  ingested(dataset: string): void {
    this.#touched.add(dataset)
    if (this.#quiet !== undefined || this.#interval === undefined) return
    this.#quiet = setTimeout(() => {
      this.#quiet = undefined
      void this.packIngested()
    }, gcQuietMs)
    this.#quiet.unref()
  }

  /** Packs what much has come into since. @returns when that is done. */
  async packIngested(): Promise<void> {
    const touched = [...this.#touched]
    this.#touched.clear()
    await Promise.all(touched.map((one) => this.#inBackground(one, () => this.#wantsPacking(one))))
  }

  /**
   * Collects a dataset now, or joins the collection that already waits.
   *
   * @throws NodeError CANCELLED (the node stops, the dataset is removed), TIMED_OUT, DISK_FULL, QUEUE_FULL.
   */
  async collect(dataset: string): Promise<Collected> {
    const joined = await this.#waiting.get(dataset)
    return joined ?? ((await this.#inTurn(dataset, async () => true)) as Collected)
  }

  /** Ends a collection that is at work in a dataset: it is being removed (dataset-upkeep.md Q7). */
  async leave(dataset: string): Promise<void> {
    if (this.#atWork?.dataset !== dataset) return
    this.#atWork.ending.abort(new NodeError('CANCELLED', `The dataset ${dataset} is being removed`))
    await this.#waiting.get(dataset)?.catch(() => undefined)
  }

  /** Forgets earlier collections of a dataset that is no more. */
  async forget(dataset: string): Promise<void> {
    this.#touched.delete(dataset)
    this.#failedUntil.delete(dataset)
    this.#notes.delete(dataset)
    await this.#parts.table.del(dataset, DURABLE)
  }

  /** Sees whose turn it is. @returns when those have had it. */
  async look(): Promise<void> {
    const { accounts, clock, intervalMs, self } = this.#parts
    const nowMs = clock.now()
    const turns: Promise<void>[] = []
    for (const dataset of accounts.datasets()) {
      if (this.#stopping.signal.aborted) return
      await this.#measure(dataset)
      const restMs = (this.#failedUntil.get(dataset) ?? 0) - nowMs
      // A rest that is longer than any is that of a clock which was set back.
      if (restMs > 0 && restMs <= gcRetryMs) continue
      const note = this.#notes.get(dataset)
      const place = placeOf(dataset, self)
      if (note === undefined) turns.push(this.#inBackground(dataset, () => this.#firstSeen(dataset)))
      else if (isDue({ nowMs, lastMs: note.lastMs, intervalMs, place }))
        turns.push(this.#inBackground(dataset, async () => true))
    }
    await Promise.all(turns)
  }

  /** For those who ask what datasets take: only what has changed is measured anew. */
  async #measure(dataset: string): Promise<void> {
    try {
      await this.#parts.accounts.size(dataset)
    } catch (error) {
      this.#parts.log.warn({ dataset, error: messageOf(error) }, 'a dataset is not to be measured')
    }
  }

  /** The interval begins to run. @returns whether there is that much already that it should not be waited for. */
  async #firstSeen(dataset: string): Promise<boolean> {
    await this.#note(dataset, { lastMs: this.#parts.clock.now(), looseObjects: 0, packs: 0 })
    return this.#wantsPacking(dataset)
  }

  async #wantsPacking(dataset: string): Promise<boolean> {
    const size = await this.#parts.accounts.size(dataset)
    return size !== undefined && wantsPacking(size, this.#notes.get(dataset))
  }

  async #inBackground(dataset: string, wanted: () => Promise<boolean>): Promise<void> {
    try {
      await this.#inTurn(dataset, wanted)
    } catch (error) {
      if (this.#stopping.signal.aborted || isNodeError(error, 'CANCELLED')) return
      const { clock, log } = this.#parts
      this.#failedUntil.set(dataset, clock.now() + gcRetryMs)
      log.warn({ dataset, error: messageOf(error) }, 'a dataset was not collected; it is tried again later')
    }
  }

  #inTurn(dataset: string, wanted: () => Promise<boolean>): Promise<Collected | undefined> {
    const waiting = this.#waiting.get(dataset)
    if (waiting !== undefined) return waiting
    const turn = this.#queue
      .run(async () => {
        this.#stopping.signal.throwIfAborted()
        return (await wanted()) ? this.#collect(dataset) : undefined
      })
      .finally(() => this.#waiting.delete(dataset))
    this.#waiting.set(dataset, turn)
    return turn
  }

  async #collect(dataset: string): Promise<Collected> {
    const { collect, keeps, pruneAfterMs, accounts, clock, emit, log } = this.#parts
    if (!accounts.datasets().includes(dataset)) {
      throw new NodeError('CANCELLED', `The dataset ${dataset} is not on this node any more`, { dataset })
    }
    const ending = new AbortController()
    this.#atWork = { dataset, ending }
    const late = AbortSignal.timeout(gcTimeoutMs)
    const signal = AbortSignal.any([this.#stopping.signal, ending.signal, late])
    const beganMs = performance.now()
    try {
      const keep = await keeps(dataset)
      const { before, after } = await collect(dataset, { pruneOlderThanMs: pruneAfterMs, keep, signal })
      const durationMs = Math.round(performance.now() - beganMs)
      const [bytesBefore, bytesAfter] = [before.bytes, after.bytes]
      const { looseObjects, packs } = after
      const note = { lastMs: clock.now(), looseObjects, packs, bytesBefore, bytesAfter, durationMs }
      await this.#note(dataset, note)
      this.#failedUntil.delete(dataset)
      emit({ type: 'garbage-collected', dataset, bytesBefore, bytesAfter, durationMs })
      log.debug({ dataset, bytesBefore, bytesAfter, durationMs }, 'a dataset was collected')
      return note
    } catch (error) {
      if (!late.aborted) throw error
      const message = `The dataset ${dataset} was not collected within ${gcTimeoutMs} ms; it is as it was`
      throw new NodeError('TIMED_OUT', message, { dataset }, { cause: error })
    } finally {
      accounts.changed(dataset)
      this.#atWork = undefined
    }
  }

  async #note(dataset: string, note: Collected): Promise<void> {
    this.#notes.set(dataset, note)
    await this.#parts.table.put(dataset, note, DURABLE)
  }
}
