import { Draft, type Standing } from './draft.ts'
import type { KeyEvent } from './transaction.ts'

/** A lease as this node keeps it; what it has left is counted anew at each start. */
export interface LeaseRow {
  readonly id: bigint
  readonly ttlSeconds: number
}

/** The changes of one revision. */
export interface Group {
  readonly revision: number
  readonly events: readonly KeyEvent[]
}

/**
 * Group commit, as it is being put together: changes that are independent of each other, one revision each, which go
 * to the disk in one write. Each sees those before it. Pure.
 */
export class Batch {
  readonly #sum: Draft
  readonly #groups: Group[] = []
  readonly #leases = new Map<bigint, LeaseRow | null>()
  #revision: number
  #effects = 0

  constructor(standing: Standing, revision: number) {
    this.#sum = new Draft(standing, 0)
    this.#revision = revision
  }

  /** The revision that is reached with it. */
  get revision(): number {
    return this.#revision
  }

  get groups(): readonly Group[] {
    return this.#groups
  }

  /** All that its changes amount to. */
  get sum(): Omit<Draft, 'absorb' | 'take' | 'replace'> {
    return this.#sum
  }

  /** Leases that are granted or, null, gone. */
  get leases(): ReadonlyMap<bigint, LeaseRow | null> {
    return this.#leases
  }

  /** Counts what has to be written; unchanged by work that only looked. */
  get effects(): number {
    return this.#effects
  }

  /** Runs one change; when it throws, nothing of it is kept. */
  async attempt<T>(change: (draft: Draft) => T | Promise<T>): Promise<T> {
    const draft = new Draft(this.#sum, this.#revision + 1)
    const result = await change(draft)
    if (draft.isEmpty) return result
    this.#effects += 1
    this.#sum.absorb(draft)
    if (draft.events.length > 0) {
      this.#revision = draft.revision
      this.#groups.push({ revision: draft.revision, events: draft.events })
    }
    return result
  }

  setLease(id: bigint, row: LeaseRow | null): void {
    this.#effects += 1
    this.#leases.set(id, row)
  }

  lease(id: bigint): LeaseRow | null | undefined {
    return this.#leases.get(id)
  }
}
