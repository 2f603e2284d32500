import { NodeError } from '../base/errors.ts'
import { compactionsWaitingMax } from '../base/limits.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import { Batch } from './batch.ts'
import { CommitQueue } from './commit-queue.ts'
import type { Standing } from './draft.ts'
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

/** What wants to be written: it puts its changes into the batch, and its result is told once they are durable. */
export type Work<T> = (batch: Batch) => T | Promise<T>

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

interface Outcome {
  readonly result?: unknown
  readonly error?: unknown
}

/** The one writer: all that changes the registry goes through it, one batch after another. */
export class Writer {
  readonly #parts: WriterParts
  readonly #standing: Standing
  /** Batches and compactions never overlap. */
  readonly #turns = new SerialQueue(2 * compactionsWaitingMax)
  #compactions = 0
  readonly #queue = new CommitQueue((works: readonly Work<unknown>[]) =>
    this.#turns.run(() => this.#flush(works)),
  )
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
    const { result, error } = await this.#queue.add(work as Work<unknown>)
    if (error !== undefined) throw error
    return result as T
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
    })
    return compacted.finally(() => {
      this.#compactions -= 1
    })
  }

  async idle(): Promise<void> {
    await this.#queue.idle()
    await this.#turns.idle()
  }

  async #flush(works: readonly Work<unknown>[]): Promise<Outcome[]> {
    const { history } = this.#parts
    const batch = new Batch(this.#standing, history.revision)
    const outcomes: (Outcome & { readonly wrote: boolean; readonly own: boolean })[] = []
    for (const work of works) {
      const [before, own] = [batch.effects, batch.sum.own.length]
      const outcome = await outcomeOf(work, batch)
      outcomes.push({ ...outcome, wrote: batch.effects > before, own: batch.sum.own.length > own })
    }
    if (batch.effects === 0) return outcomes
    const refusal = await this.#refusalOf(batch)
    if (refusal !== undefined) {
      // What others have written waits for no confirmation, and what makes this one good may be among it.
      const others = works.filter((_, index) => outcomes[index]?.own === false)
      const told = others.length === 0 ? [] : await this.#flush(others)
      return outcomes.map(({ own }) => (own ? refusal : (told.shift() as Outcome)))
    }
    try {
      await this.#store(batch)
    } catch (error) {
      // What came behind the first that wrote has seen what will never be.
      const first = outcomes.findIndex(({ wrote }) => wrote)
      return outcomes.map((outcome, index) => (index < first ? outcome : { error }))
    }
    return outcomes
  }

  async #refusalOf(batch: Batch): Promise<{ readonly error: unknown } | undefined> {
    const { own } = batch.sum
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

async function outcomeOf(work: Work<unknown>, batch: Batch): Promise<Outcome> {
  try {
    return { result: await work(batch) }
  } catch (error) {
    return { error }
  }
}
