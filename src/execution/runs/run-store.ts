import { type Database, DURABLE, type Table, table } from '../../base/database.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import { runsKeptMax, runsOfMembersKeptMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { forgettable } from './forgettable-runs.ts'
import type { Run } from './run.ts'

export type OnRun = (run: Run) => void

/**
 * All runs of this node: on the disk before anyone hears of them, in memory for reading. Ids sort by time, so the order
 * of the table is the order of arrival.
 */
export class RunStore {
  readonly #table: Table<Run>
  readonly #log: Logger
  readonly #runs = new Map<string, Run>()
  /** Of them those that wait, so that a long memory makes no slow queue. */
  readonly #queued = new Map<string, Run>()
  readonly #watchers = new Set<OnRun>()

  constructor(parts: { database: Database; log: Logger }) {
    this.#table = table(parts.database, 'runs')
    this.#log = parts.log
  }

  async load(): Promise<void> {
    this.#runs.clear()
    this.#queued.clear()
    for await (const [, run] of this.#table.iterator()) this.#remember(run)
  }

  /** Oldest first. */
  list(): Run[] {
    return [...this.#runs.values()]
  }

  /** Those that wait in the queue, in no order. */
  queued(): Run[] {
    return [...this.#queued.values()]
  }

  /** @throws NodeError RUN_NOT_FOUND */
  get(id: string): Run {
    const run = this.#runs.get(id)
    if (run === undefined) throw new NodeError('RUN_NOT_FOUND', `No run is named ${id} on this node`, { id })
    return run
  }

  find(id: string): Run | undefined {
    return this.#runs.get(id)
  }

  /** Stores the runs together, all or none, and then tells the watchers. @throws NodeError STORE_FAILED */
  async save(...runs: Run[]): Promise<void> {
    const puts = runs.map((run) => ({ type: 'put' as const, key: run.id, value: run }))
    try {
      await this.#table.batch(puts, DURABLE)
    } catch (cause) {
      throw new NodeError('STORE_FAILED', `A run was not stored: ${messageOf(cause)}`, {}, { cause })
    }
    for (const run of runs) this.#remember(run)
    for (const run of runs) this.#tell(run)
  }

  /** Notes in memory what a crash may forget, such as an allocation; it goes to the disk with the next transition. */
  note(run: Run): void {
    this.#remember(run)
  }

  /** Forgets the oldest ended runs beyond what is kept. @returns their ids, whose logs can go too. */
  async prune(): Promise<string[]> {
    if (this.#runs.size <= runsOfMembersKeptMax) return []
    const gone = forgettable(this.list(), { ownMax: runsKeptMax, membersMax: runsOfMembersKeptMax })
    if (gone.length === 0) return []
    await this.#table.batch(gone.map((key) => ({ type: 'del' as const, key })))
    for (const id of gone) this.#runs.delete(id)
    return gone
  }

  /** Hears of every stored transition. @returns how to stop. */
  onRun(callback: OnRun): () => void {
    this.#watchers.add(callback)
    return () => this.#watchers.delete(callback)
  }

  /** Resolves with the stored run once it answers `holds`. @throws NodeError RUN_NOT_FOUND, the signal's reason. */
  async until(id: string, holds: (run: Run) => boolean, signal?: AbortSignal): Promise<Run> {
    const now = this.get(id)
    if (holds(now)) return now
    signal?.throwIfAborted()
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        unwatch()
        reject(signal?.reason)
      }
      const unwatch = this.onRun((run) => {
        if (run.id !== id || !holds(run)) return
        unwatch()
        signal?.removeEventListener('abort', onAbort)
        resolve(run)
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  #remember(run: Run): void {
    this.#runs.set(run.id, run)
    if (run.state === 'queued') this.#queued.set(run.id, run)
    else this.#queued.delete(run.id)
  }

  #tell(run: Run): void {
    for (const callback of this.#watchers) {
      try {
        callback(run)
      } catch (error) {
        this.#log.error({ run: run.id, error: messageOf(error) }, 'a watcher of runs failed')
      }
    }
  }
}
