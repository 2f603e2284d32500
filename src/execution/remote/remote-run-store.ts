import { type Database, DURABLE, type Table, table } from '../../base/database.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import { remoteRunsKeptMax, remoteRunsOpenMax } from '../../base/limits.ts'
import type { RemoteRun } from './remote-run.ts'

/** The runs of this node at other members: on the disk before anyone hears of them, in memory for reading. */
export class RemoteRunStore {
  readonly #table: Table<RemoteRun>
  readonly #runs = new Map<string, RemoteRun>()
  readonly #watchers = new Set<(run: RemoteRun) => void>()
  #changes: Promise<unknown> = Promise.resolve()

  constructor(database: Database) {
    this.#table = table(database, 'remote-runs')
  }

  async load(): Promise<void> {
    this.#runs.clear()
    for await (const [id, run] of this.#table.iterator()) this.#runs.set(id, run)
  }

  /** Oldest first. */
  list(): RemoteRun[] {
    return [...this.#runs.values()]
  }

  open(): RemoteRun[] {
    return this.list().filter(({ state }) => state !== 'ended')
  }

  /** @throws NodeError RUN_NOT_FOUND */
  get(id: string): RemoteRun {
    const run = this.#runs.get(id)
    if (run === undefined)
      throw new NodeError('RUN_NOT_FOUND', `No remote run is named ${id} on this node`, { id })
    return run
  }

  /** @returns ids that made room, whose logs can go too. @throws NodeError QUEUE_FULL, STORE_FAILED */
  async add(run: RemoteRun): Promise<string[]> {
    if (this.open().length >= remoteRunsOpenMax) {
      throw new NodeError('QUEUE_FULL', `${remoteRunsOpenMax} runs of this node are at other members already`)
    }
    await this.save(run)
    const excess = this.#runs.size - remoteRunsKeptMax
    const ended = this.list().filter(({ state }) => state === 'ended')
    const gone = ended.slice(0, Math.max(0, excess)).map(({ id }) => id)
    if (gone.length > 0) await this.#table.batch(gone.map((key) => ({ type: 'del' as const, key })))
    for (const id of gone) this.#runs.delete(id)
    return gone
  }

  /** @throws NodeError STORE_FAILED */
  async save(run: RemoteRun): Promise<void> {
    try {
      await this.#table.put(run.id, run, DURABLE)
    } catch (cause) {
      throw new NodeError('STORE_FAILED', `A remote run was not stored: ${messageOf(cause)}`, {}, { cause })
    }
    this.#runs.set(run.id, run)
    for (const watcher of this.#watchers) watcher(run)
  }

  /** Changes a run as it is by then; changes of all come one after another. @throws NodeError RUN_NOT_FOUND, STORE_FAILED */
  update(id: string, change: (run: RemoteRun) => RemoteRun): Promise<RemoteRun> {
    const result = this.#changes.then(async () => {
      const changed = change(this.get(id))
      await this.save(changed)
      return changed
    })
    // The tail only orders the changes: a failure belongs to the caller that holds `result`.
    this.#changes = result.catch(() => undefined)
    return result
  }

  /** Resolves with the run once it answers `holds`. @throws NodeError RUN_NOT_FOUND, the signal's reason. */
  async until(id: string, holds: (run: RemoteRun) => boolean, signal: AbortSignal): Promise<RemoteRun> {
    const now = this.get(id)
    if (holds(now)) return now
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const settle = (done: () => void) => {
        this.#watchers.delete(look)
        signal.removeEventListener('abort', onAbort)
        done()
      }
      const look = (run: RemoteRun) => {
        if (run.id === id && holds(run)) settle(() => resolve(run))
      }
      const onAbort = () => settle(() => reject(signal.reason))
      this.#watchers.add(look)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }
}
