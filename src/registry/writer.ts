import { NodeError } from '../base/errors.ts'
import { compactionsWaitingMax, storeQueueMax } from '../base/limits.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import { Batch } from './batch.ts'
import { CommitQueue } from './commit-queue.ts'
import type { Standing } from './draft.ts'
import { Flight, type Run, runAll, type Told, type Work } from './flight.ts'
import type { History } from './history.ts'
import type { SealedRecord } from './record.ts'
import type { RecordStore } from './record-store.ts'
import type { State } from './state.ts'

export interface WriterParts {
  readonly state: State
  readonly history: History
  readonly store: Pick<RecordStore, 'commit'>
  /** Called with what is on the disk, before memory shows it and after. */
  readonly before: (batch: Batch) => void
  readonly after: (batch: Batch) => void
}

export type { Work } from './flight.ts'

/** Has the last word on this node's own records before they are stored, as a cluster that keeps them too. */
export type Confirm = (records: readonly SealedRecord[]) => Promise<void>

/** Since the start. */
export interface WriteCounts {
  /** Batches that reached the disk, and the changes in them. */
  readonly batches: number
  readonly changes: number
  readonly failures: number
  /** The last write failed: the disk is full, or broken. */
  readonly failing: boolean
}

/** One write to the disk: how many changes went together, and the time that it took. */
export interface Flush {
  readonly works: number
  readonly durationMs: number
}

/**
 * The one writer: all that changes the registry goes through it, one batch after another. Where this node's own records
 * are confirmed elsewhere first, works with such records wait for that beside the others, and nobody else with them.
 */
export class Writer {
  readonly #parts: WriterParts
  readonly #standing: Standing
  /** Batches and compactions never overlap. */
  readonly #turns = new SerialQueue(2 * compactionsWaitingMax)
  #compactions = 0
  readonly #queue = new CommitQueue((works: readonly Work<unknown>[]) =>
    this.#turns.run(() => this.#flush(works)),
  )
  /** Works with own records, where these are confirmed; one flight after another. */
  readonly #departures = new CommitQueue((works: readonly Work<unknown>[]) => this.#fly(works))
  #flight: Flight | undefined
  /** Counts what has changed the registry: a flight that lands on another one runs again. */
  #stored = 0
  readonly #heard = new Set<(flush: Flush) => void>()
  #confirm: Confirm | undefined
  #counts: WriteCounts = { batches: 0, changes: 0, failures: 0, failing: false }

  constructor(parts: WriterParts) {
    this.#parts = parts
    const { state, history } = parts
    this.#standing = {
      claims: (key) => state.claims(key),
      bytesOf: (author) => state.bytesOf(author),
      get: (key) => history.get(key),
      range: (range) => history.range(range),
    }
  }

  get counts(): WriteCounts {
    return this.#counts
  }

  /** Hears of each write to the disk. @returns how to stop hearing. */
  onFlush(heard: (flush: Flush) => void): () => void {
    this.#heard.add(heard)
    return () => this.#heard.delete(heard)
  }

  confirmWith(confirm: Confirm): void {
    this.#confirm = confirm
  }

  /** @throws NodeError STORE_FAILED, QUEUE_FULL, what confirming throws, and what `work` throws. */
  async run<T>(work: Work<T>): Promise<T> {
    let told = await this.#queue.add(work as Work<unknown>)
    while (told.later !== undefined) told = await told.later()
    if (told.error !== undefined) throw told.error
    return told.result as T
  }

  /** @throws NodeError REVISION_COMPACTED, REVISION_FUTURE, STORE_FAILED */
  compact(revision: number): Promise<void> {
    const { history, store } = this.#parts
    if (this.#compactions >= compactionsWaitingMax) {
      return Promise.reject(new NodeError('QUEUE_FULL', 'Compactions are under way; try again later'))
    }
    this.#compactions += 1
    const compacted = this.#turns.run(async () => {
      const dropped = history.outlived(revision)
      const change = { dropped, revision: history.revision, compacted: revision }
      await this.#counted(dropped.length, () => store.commit(change))
      history.compact(revision, dropped)
      this.#stored += 1
    })
    return compacted.finally(() => {
      this.#compactions -= 1
    })
  }

  async idle(): Promise<void> {
    await this.#queue.idle()
    await this.#departures.idle()
    await this.#turns.idle()
  }

  async #flush(works: readonly Work<unknown>[]): Promise<Told[]> {
    const run = await runAll(works, new Batch(this.#standing, this.#parts.history.revision))
    const { batch, outcomes } = run
    if (this.#confirm !== undefined && batch.sum.own.length > 0) {
      // The others have seen what is not there yet, and wait for no confirmation: they run once more without it.
      const others = works.filter((_, index) => outcomes[index]?.own.length === 0)
      const told = (others.length === 0 ? [] : await this.#flush(others)).values()
      return works.map((work, index) =>
        outcomes[index]?.own.length === 0
          ? (told.next().value as Told)
          : { later: () => this.#departures.add(work) },
      )
    }
    if (this.#flight?.isCrossedBy(batch)) return this.#hold(works, this.#flight)
    return this.#keep(run)
  }

  /** Of works that cross a flight together, finds those that do so alone; they wait for its landing. */
  async #hold(works: readonly Work<unknown>[], flight: Flight): Promise<Told[]> {
    if (works.length > 1) {
      const half = works.length >> 1
      return [...(await this.#flush(works.slice(0, half))), ...(await this.#flush(works.slice(half)))]
    }
    if (flight.held.length >= storeQueueMax) {
      return [{ error: new NodeError('QUEUE_FULL', 'Too many writes wait for a cluster; try again later') }]
    }
    const landed = flight.hold(works[0] as Work<unknown>)
    return [{ later: () => landed }]
  }

  /** Has works with own records confirmed, as many at once as go together; the turns go on meanwhile. */
  async #fly(works: readonly Work<unknown>[]): Promise<Told[]> {
    const told: Told[] = []
    let left = [...works.entries()]
    while (left.length > 0) {
      const waiting = left.map(([, work]) => work)
      const { flight, stored } = await this.#turns.run(() => this.#board(waiting))
      const refusal = await this.#refusalOf(flight.records)
      const landed = await this.#turns.run(() => this.#land(flight, stored, refusal))
      for (const [place, outcome] of landed) told[left[place]?.[0] as number] = outcome
      left = left.filter((_, place) => !landed.has(place))
    }
    return told
  }

  /** From this turn on nothing is stored that changes what these works have looked at. */
  async #board(works: readonly Work<unknown>[]): Promise<{ flight: Flight; stored: number }> {
    const flight = await Flight.of(works, this.#standing, this.#parts.history.revision)
    this.#flight = flight
    return { flight, stored: this.#stored }
  }

  /** @returns what became of works of the flight, by their place in it; what was not refused by itself flies again. */
  async #land(
    flight: Flight,
    stored: number,
    refusal: { readonly error: unknown } | undefined,
  ): Promise<ReadonlyMap<number, Told>> {
    try {
      if (refusal !== undefined) {
        return new Map([...flight.refusedBy(refusal.error)].map((place) => [place, refusal]))
      }
      const { history } = this.#parts
      const run = stored === this.#stored ? flight.run : await flight.again(this.#standing, history.revision)
      return new Map((await this.#keep(run)).entries())
    } finally {
      this.#flight = undefined
      const told = (await this.#flush(flight.held.map(({ work }) => work))).values()
      for (const { tell } of flight.held) tell(told.next().value as Told)
    }
  }

  /** Stores what a run has changed. */
  async #keep({ batch, outcomes }: Run): Promise<Told[]> {
    const told = outcomes.map(({ result, error }) => ({ result, error }))
    if (batch.effects === 0) return told
    try {
      await this.#store(batch)
      return told
    } catch (error) {
      // What came behind the first that wrote has seen what will never be.
      const first = outcomes.findIndex(({ wrote }) => wrote)
      return told.map((outcome, index) => (index < first ? outcome : { error }))
    }
  }

  async #refusalOf(own: readonly SealedRecord[]): Promise<{ readonly error: unknown } | undefined> {
    try {
      if (own.length > 0) await this.#confirm?.(own)
      return undefined
    } catch (error) {
      return { error }
    }
  }

  async #store(batch: Batch): Promise<void> {
    const { state, history, store } = this.#parts
    const { evidence, changedClaims } = batch.sum
    const saved: SealedRecord[] = []
    const removed: SealedRecord[] = []
    for (const [key, claims] of changedClaims) {
      const before = state.claims(key)
      saved.push(...claims.filter((claim) => !before.includes(claim)))
      // What another record of the same author replaces is written over.
      const authors = new Set(claims.map((claim) => claim.author))
      removed.push(...before.filter((claim) => !authors.has(claim.author)))
    }
    const versions = batch.groups.flatMap(({ events }) => events.map((event) => event.kv))
    const { revision, leases } = batch
    const { compacted } = history
    const change = { saved, removed, versions, evidence, leases, revision, compacted }
    const flush = await this.#counted(batch.effects, () => store.commit(change))
    this.#stored += 1
    this.#parts.before(batch)
    for (const [key, claims] of changedClaims) state.replace(key, claims)
    for (const group of batch.groups) history.apply(group.events, group.revision)
    this.#parts.after(batch)
    for (const heard of this.#heard) heard(flush)
  }

  async #counted(changes: number, write: () => Promise<void>): Promise<Flush> {
    const begunMs = performance.now()
    try {
      await write()
    } catch (error) {
      this.#counts = { ...this.#counts, failures: this.#counts.failures + 1, failing: true }
      throw error
    }
    const { batches, failures } = this.#counts
    const sum = this.#counts.changes + changes
    this.#counts = { batches: batches + 1, changes: sum, failures, failing: false }
    return { works: changes, durationMs: performance.now() - begunMs }
  }
}
