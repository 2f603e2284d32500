import { messageOf } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Members } from '../federation/members.ts'
import type { Collection, Item } from '../registry/collection.ts'
import type { HeadRecord } from './heads.ts'
import type { Known, KnownDatasets } from './known-datasets.ts'
import { announcedBranches, type ReplicaRecord, reportOf } from './replicas.ts'
import type { Shelf } from './shelf.ts'

export interface ReplicaReportsParts {
  readonly self: string
  readonly known: KnownDatasets
  readonly replicas: Collection<ReplicaRecord>
  /** The heads of a dataset that are followed. */
  readonly headsOf: (known: Known) => readonly Item<HeadRecord>[]
  readonly members: Pick<Members, 'get' | 'list' | 'isMember'>
  readonly shelf: Shelf
  /** The least time between two reports on one dataset, ms. */
  readonly intervalMs: number
  readonly log: Logger
}

interface Watched {
  /** When the last report was written, ms as `nowMs` counts them. */
  writtenMs: number
  /** Since when it holds less than was announced, ms. */
  behindSinceMs: number | undefined
  timer: NodeJS.Timeout | undefined
  dueMs: number
}

/** Tells what this node holds of each dataset; seldom, and only when it has changed (dataset-heads.md H23). */
export class ReplicaReports {
  readonly #parts: ReplicaReportsParts
  readonly #watched = new Map<string, Watched>()
  readonly #running = new Set<Promise<void>>()
  #ended = false

  constructor(parts: ReplicaReportsParts) {
    this.#parts = parts
  }

  /** Something of a dataset has come, or was announced. */
  touch(dataset: string): void {
    const watched = this.#watched.get(dataset) ?? newWatched()
    this.#watched.set(dataset, watched)
    this.#lookAt(dataset, watched, watched.writtenMs + this.#parts.intervalMs)
  }

  #lookAt(dataset: string, watched: Watched, atMs: number): void {
    const now = nowMs()
    const dueMs = Math.max(now, atMs)
    if (this.#ended || (watched.timer !== undefined && watched.dueMs <= dueMs)) return
    clearTimeout(watched.timer)
    watched.dueMs = dueMs
    watched.timer = setTimeout(() => {
      watched.timer = undefined
      const running = this.#report(dataset, watched).finally(() => this.#running.delete(running))
      this.#running.add(running)
    }, dueMs - now)
    watched.timer.unref()
  }

  /** Ends once nothing is being written any more. */
  async stop(): Promise<void> {
    this.#ended = true
    for (const { timer } of this.#watched.values()) clearTimeout(timer)
    await Promise.allSettled(this.#running)
  }

  /** Takes back what this node has said of its copy. */
  async retract(dataset: string): Promise<void> {
    const { replicas, self } = this.#parts
    if (replicas.get(`${dataset}/${self}`) !== undefined) await replicas.remove(`${dataset}/${self}`)
  }

  async #report(dataset: string, watched: Watched): Promise<void> {
    const { self, known, replicas, headsOf, members, shelf, intervalMs, log } = this.#parts
    try {
      const now = known.get(dataset)
      if (now === undefined || now.policy === 'local-only' || !members.isMember(self)) return
      const before = replicas.get(`${dataset}/${self}`)?.value
      const repository = await shelf.openIfHere(dataset)
      const held = shelf.branches(dataset)
      // [MUST] Others remove their copies on the word of this node: one that was lost is none (H23).
      if (repository === undefined || held.size === 0) return await this.retract(dataset)
      const report = reportOf(now.id, announcedBranches(headsOf(now), members), held)
      const isNews = report === undefined ? before !== undefined : !(before && isSame(before, report))
      if (report?.complete) watched.behindSinceMs = undefined
      if (!isNews) return
      if (!report?.complete) {
        // What is on its way is told once it is here; only what stays away is told as missing.
        watched.behindSinceMs ??= nowMs()
        const tellMs = watched.behindSinceMs + intervalMs
        if (nowMs() < tellMs) return this.#lookAt(dataset, watched, tellMs)
      }
      watched.writtenMs = nowMs()
      if (report === undefined) return await this.retract(dataset)
      const { bytes } = await repository.size()
      await replicas.put(`${dataset}/${self}`, { ...report, bytes })
    } catch (error) {
      if (this.#ended) return
      log.info({ dataset, error: messageOf(error) }, 'what is held of a dataset was not told')
      this.#lookAt(dataset, watched, nowMs() + intervalMs)
    }
  }
}

/** A clock that is never set back: waits must not end with the wrong time. */
const nowMs = (): number => performance.now()

function newWatched(): Watched {
  return { writtenMs: Number.NEGATIVE_INFINITY, behindSinceMs: undefined, timer: undefined, dueMs: 0 }
}

function isSame(a: Omit<ReplicaRecord, 'bytes'>, b: Omit<ReplicaRecord, 'bytes'>): boolean {
  return a.dataset === b.dataset && a.state === b.state && a.complete === b.complete
}
