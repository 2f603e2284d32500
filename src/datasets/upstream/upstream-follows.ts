import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { timerMaxMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { nextCall, type UpstreamMemory, untilCall } from './upstream-memory.ts'

export interface UpstreamFollowsParts {
  readonly memory: Pick<UpstreamMemory, 'get' | 'followed' | 'change'>
  /** Pulls, and pushes when it is told to. @returns whether it failed in a way that wants a longer pause. */
  readonly round: (dataset: string, push: boolean) => Promise<boolean>
  readonly clock: Clock
  readonly log: Logger
}

/** The orders to follow upstreams: one timer each, which a restart sets again to where it was. */
export class UpstreamFollows {
  readonly #parts: UpstreamFollowsParts
  readonly #timers = new Map<string, NodeJS.Timeout>()
  readonly #busy = new Set<string>()
  #ended = false

  constructor(parts: UpstreamFollowsParts) {
    this.#parts = parts
  }

  /** Begins with what was ordered in earlier lives of this node. */
  start(): void {
    this.#ended = false
    for (const [dataset] of this.#parts.memory.followed()) this.arm(dataset)
  }

  stop(): void {
    this.#ended = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  /** Sets the timer of a dataset to what is ordered now. */
  arm(dataset: string): void {
    clearTimeout(this.#timers.get(dataset))
    this.#timers.delete(dataset)
    const { follow } = this.#parts.memory.get(dataset)
    if (follow === undefined || this.#ended || this.#busy.has(dataset)) return
    const waitMs = Math.min(timerMaxMs, untilCall(follow, this.#parts.clock.now()))
    const timer = setTimeout(() => this.#due(dataset), waitMs)
    timer.unref()
    this.#timers.set(dataset, timer)
  }

  #due(dataset: string): void {
    const { memory, clock, log } = this.#parts
    const order = memory.get(dataset).follow
    if (order === undefined || untilCall(order, clock.now()) > 0) {
      this.arm(dataset)
      return
    }
    this.#busy.add(dataset)
    this.#round(dataset, order.push)
      .catch((error: unknown) =>
        log.error({ dataset, error: messageOf(error) }, 'an upstream could not be followed'),
      )
      .finally(() => {
        this.#busy.delete(dataset)
        this.arm(dataset)
      })
  }

  async #round(dataset: string, push: boolean): Promise<void> {
    const { memory, round, clock } = this.#parts
    const failed = await round(dataset, push)
    // What was ordered meanwhile stays as it was ordered.
    const order = memory.get(dataset).follow
    if (order === undefined || this.#ended) return
    await memory.change(dataset, { follow: nextCall(order, failed, clock.now()) })
  }
}
