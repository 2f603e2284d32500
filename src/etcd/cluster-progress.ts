import type { Clock } from '../base/clock.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import { clusterWriteTimeoutMs } from '../base/limits.ts'

/** How strong mode is doing, for operators. */
export interface ClusterState {
  readonly endpoints: readonly string[]
  /** Whether this node follows the cluster and a quorum answers; only then are writes taken. */
  readonly connected: boolean
  /** The cluster's revision up to which this node has applied everything; 0 before the first reading. */
  readonly revision: number
  /** Why it is not connected, or was not when it last broke off. */
  readonly lastError?: string
  /** Since when it is as it is, ms since the epoch. */
  readonly sinceMs: number
}

interface Waiter {
  readonly revision: number
  readonly reached: () => void
  failed(error: NodeError): void
}

/** How far this node has followed the cluster, and who waits for it to get further. */
export class ClusterProgress {
  readonly #endpoints: readonly string[]
  readonly #clock: Clock
  readonly #waiters = new Set<Waiter>()
  #applied: number | undefined
  #connected = false
  #sinceMs: number
  #lostAt = performance.now()
  #lastError: string | undefined
  #ended: Error | undefined
  #life = 0

  constructor(endpoints: readonly string[], clock: Clock) {
    this.#endpoints = endpoints
    this.#clock = clock
    this.#sinceMs = clock.now()
  }

  /** Undefined until the cluster has been read. */
  get applied(): number | undefined {
    return this.#applied
  }

  get connected(): boolean {
    return this.#connected
  }

  /** Revisions of different lives cannot be compared: the cluster has been read anew in between. */
  get life(): number {
    return this.#life
  }

  state(): ClusterState {
    return {
      endpoints: this.#endpoints,
      connected: this.#connected,
      revision: this.#applied ?? 0,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      sinceMs: this.#sinceMs,
    }
  }

  /** All that the cluster held at `revision` and before has been given to the registry. */
  advance(revision: number): void {
    this.#applied = Math.max(this.#applied ?? 0, revision)
    this.#tell()
  }

  /** What was applied says nothing any more: the cluster is to be read as a whole. */
  restart(): void {
    this.#applied = undefined
    this.#life += 1
  }

  follow(): void {
    if (this.#connected) return
    this.#connected = true
    this.#sinceMs = this.#clock.now()
    this.#tell()
  }

  lose(error: unknown): void {
    this.#lastError = messageOf(error)
    if (!this.#connected) return
    this.#connected = false
    this.#sinceMs = this.#clock.now()
    this.#lostAt = performance.now()
  }

  /**
   * The same as `reach` for a write, which fails at once when the cluster has been out of reach for longer than a write
   * may take: others have waited for it in vain, and nothing piles up.
   *
   * @throws NodeError REGISTRY_UNREACHABLE
   */
  async settle(revision: number): Promise<void> {
    const awayMs = performance.now() - this.#lostAt
    if (!this.#connected && awayMs > clusterWriteTimeoutMs) throw this.unreachable()
    await this.reach(revision, clusterWriteTimeoutMs)
  }

  /**
   * Resolves when this node follows the cluster and has applied `revision`.
   *
   * @throws NodeError REGISTRY_UNREACHABLE after `timeoutMs`.
   */
  async reach(revision: number, timeoutMs: number): Promise<void> {
    if (this.#has(revision)) return
    if (this.#ended !== undefined) throw this.unreachable(this.#ended)
    let timer: NodeJS.Timeout | undefined
    let waiter: Waiter | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        waiter = { revision, reached: resolve, failed: reject }
        this.#waiters.add(waiter)
        timer = setTimeout(() => reject(this.unreachable()), timeoutMs)
      })
    } finally {
      clearTimeout(timer)
      if (waiter !== undefined) this.#waiters.delete(waiter)
    }
  }

  /** Nobody waits for the cluster any more: the node stops, and would otherwise live on as long as they wait. */
  end(reason: Error): void {
    this.#ended = reason
    for (const { failed } of this.#waiters) failed(this.unreachable(reason))
  }

  /** The error of who has waited for the cluster in vain. */
  unreachable(cause?: unknown): NodeError {
    const why = cause === undefined ? this.#lastError : messageOf(cause)
    const message = `The etcd cluster of the registry (${this.#endpoints.join(', ')}) takes no writes now${why === undefined ? '' : `: ${why}`}; what is known can still be read`
    return new NodeError('REGISTRY_UNREACHABLE', message, { endpoints: this.#endpoints }, { cause })
  }

  #has(revision: number): boolean {
    return this.#connected && this.#applied !== undefined && this.#applied >= revision
  }

  #tell(): void {
    for (const { revision, reached } of this.#waiters) if (this.#has(revision)) reached()
  }
}
