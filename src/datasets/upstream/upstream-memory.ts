/**
 * What this node's owner has said about upstreams, and how the last calls ended: one row for each dataset, in this
 * node's own database. Another member's record can name an upstream; only what stands here lets this node call one.
 */
import { type Database, DURABLE, type Table, table } from '../../base/database.ts'
import type { ErrorCode } from '../../base/errors.ts'
import { upstreamPauseMaxMs } from '../../base/limits.ts'
import type { Upstream } from './upstream-address.ts'

/** An upstream, and the id of the dataset that it was agreed to for: another one may come to have the same name. */
export interface Agreement extends Upstream {
  readonly id: string
}

/** How the last call of one direction ended. */
export interface UpstreamOutcome {
  readonly timeMs: number
  /** Where the upstream was, or was brought to. */
  readonly commit?: string
  /** Of a failure. */
  readonly code?: ErrorCode
  readonly reason?: string
}

/** The owner's order to pull, and to push when asked, again and again. */
export interface FollowOrder {
  readonly everyMs: number
  /** Whether each pull is followed by a push. */
  readonly push: boolean
  readonly nextMs: number
  /** Failures in a row. */
  readonly failures: number
}

export interface UpstreamRow {
  /** The exact upstream that the owner has agreed to call. */
  readonly agreed?: Agreement
  readonly follow?: FollowOrder
  readonly pulled?: UpstreamOutcome
  readonly pushed?: UpstreamOutcome
}

/**
 * [MUST] What keeps this node from calling an upstream, or undefined when its owner has agreed to just that one
 * (upstreams.md X6). Pure.
 */
export function lackOfConsent(
  agreed: Agreement | undefined,
  named: Agreement,
): 'never-asked' | 'changed' | undefined {
  if (agreed === undefined || agreed.id !== named.id) return 'never-asked'
  return agreed.url === named.url && agreed.branch === named.branch ? undefined : 'changed'
}

/**
 * When to call again: at its time after success, later and later after failures, never sooner than was ordered
 * (upstreams.md X8). Pure.
 */
export function nextCall(order: FollowOrder, failed: boolean, nowMs: number): FollowOrder {
  const failures = failed ? order.failures + 1 : 0
  return { ...order, failures, nextMs: nowMs + pauseOf({ ...order, failures }) }
}

/**
 * How long until the next call, ms. A call that lies further away than any pause was set under a clock that has been set
 * back since, and is due: else it would wait for that time to come again. Pure.
 */
export function untilCall(order: FollowOrder, nowMs: number): number {
  const leftMs = order.nextMs - nowMs
  return leftMs > pauseOf(order) ? 0 : Math.max(0, leftMs)
}

function pauseOf({ everyMs, failures }: FollowOrder): number {
  const longestMs = Math.max(everyMs, upstreamPauseMaxMs)
  return Math.min(longestMs, everyMs * 2 ** Math.min(Math.max(0, failures - 1), 30))
}

export class UpstreamMemory {
  readonly #table: Table<UpstreamRow>
  readonly #rows = new Map<string, UpstreamRow>()

  constructor(database: Database) {
    this.#table = table(database, 'upstreams')
  }

  async load(): Promise<void> {
    for await (const [dataset, row] of this.#table.iterator()) this.#rows.set(dataset, row)
  }

  get(dataset: string): UpstreamRow {
    return this.#rows.get(dataset) ?? {}
  }

  /** The datasets with an order to follow. */
  followed(): (readonly [dataset: string, order: FollowOrder])[] {
    return [...this.#rows].flatMap(([dataset, { follow }]) =>
      follow === undefined ? [] : [[dataset, follow]],
    )
  }

  /** Durable when it returns. `undefined` takes a field away. */
  async change(
    dataset: string,
    change: { [K in keyof UpstreamRow]?: UpstreamRow[K] | undefined },
  ): Promise<void> {
    const fields = Object.entries({ ...this.get(dataset), ...change }).filter(
      ([, value]) => value !== undefined,
    )
    const row: UpstreamRow = Object.fromEntries(fields)
    this.#rows.set(dataset, row)
    await this.#table.put(dataset, row, DURABLE)
  }

  async forget(dataset: string): Promise<void> {
    this.#rows.delete(dataset)
    await this.#table.del(dataset, DURABLE)
  }
}
