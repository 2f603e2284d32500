import { type Database, type Table, table } from '../../base/database.ts'
import type { ErrorCode } from '../../base/errors.ts'
import { openSlotsMax } from '../../base/limits.ts'

/** Why a slot was not run here at its time. */
export interface Problem {
  readonly slot: number
  /** When it was noted. */
  readonly timeMs: number
  /**
   * - `missed`: nobody looked at its time, and the schedule does not want it late;
   * - `overlap`: the run of an earlier slot had not ended;
   * - `refused`: no run could be queued, or this node's rules refused the one that was.
   */
  readonly kind: 'missed' | 'overlap' | 'refused'
  readonly code?: ErrorCode
  readonly reason: string
}

/** Why a slot was left to others, which is no problem. */
export interface Spared {
  readonly slot: number
  /** When it was noted. */
  readonly timeMs: number
  /** `proven`: a member runs it whose word is enough. */
  readonly kind: 'proven'
  readonly reason: string
}

/** What a node remembers of a schedule beside its runs. */
export interface Remembered {
  /** Every slot up to this one has been seen to, in one way or another. */
  readonly passedMs: number
  /** Slots before it that are still followed until somebody in the federation has run them. */
  readonly open: readonly number[]
  readonly problem?: Problem
  readonly spared?: Spared
}

/**
 * The memory of the scheduler, so that a restart neither repeats a slot nor loses one. A kill of the process takes
 * nothing of it. A power cut may take the last second's notes, which do no harm: what was run, the runs and the claims
 * say, and they are on the disk. So no slot waits for the disk twice, when a thousand schedules fire at midnight.
 */
export class Ledger {
  readonly #table: Table<Remembered>
  readonly #rows = new Map<string, Remembered>()

  constructor(database: Database) {
    this.#table = table(database, 'schedules')
  }

  async load(): Promise<void> {
    this.#rows.clear()
    for await (const [pipeline, row] of this.#table.iterator()) this.#rows.set(pipeline, row)
  }

  get(pipeline: string): Remembered | undefined {
    return this.#rows.get(pipeline)
  }

  list(): [pipeline: string, Remembered][] {
    return [...this.#rows]
  }

  /** Notes that the slots up to `passedMs` are seen to, those in `open` so far that they are followed. */
  async pass(pipeline: string, passedMs: number, open: readonly number[] = []): Promise<void> {
    const row = this.#rows.get(pipeline)
    const followed = [...new Set([...(row?.open ?? []), ...open])].sort((a, b) => a - b).slice(-openSlotsMax)
    await this.#put(pipeline, { ...row, passedMs, open: followed })
  }

  async close(pipeline: string, slot: number): Promise<void> {
    const row = this.#rows.get(pipeline)
    if (!row?.open.includes(slot)) return
    await this.#put(pipeline, { ...row, open: row.open.filter((at) => at !== slot) })
  }

  async note(pipeline: string, problem: Problem): Promise<void> {
    const row = this.#rows.get(pipeline) ?? { passedMs: 0, open: [] }
    await this.#put(pipeline, { ...row, problem })
  }

  async spare(pipeline: string, spared: Spared): Promise<void> {
    const row = this.#rows.get(pipeline) ?? { passedMs: 0, open: [] }
    await this.#put(pipeline, { ...row, spared })
  }

  /** A schedule that is no more is not remembered either. */
  async forget(pipeline: string): Promise<void> {
    if (!this.#rows.delete(pipeline)) return
    await this.#table.del(pipeline)
  }

  async #put(pipeline: string, row: Remembered): Promise<void> {
    await this.#table.put(pipeline, row)
    this.#rows.set(pipeline, row)
  }
}
