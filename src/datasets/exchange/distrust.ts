import { distrustedMax, distrustFirstMs, distrustLongestMs } from '../../base/limits.ts'

interface Record {
  /** Packs that did not hold, less those that did. */
  readonly rejections: number
  readonly untilMs: number
}

export interface DistrustLimits {
  readonly firstMs: number
  readonly longestMs: number
}

/**
 * Members whose packs did not hold are not asked for a while: to find out costs far more than to send one, whatever
 * dataset it is for and however new the head that asks for it.
 */
export class Distrust {
  readonly #limits: DistrustLimits
  readonly #nowMs: () => number
  readonly #records = new Map<string, Record>()

  constructor(
    limits: DistrustLimits = { firstMs: distrustFirstMs, longestMs: distrustLongestMs },
    nowMs: () => number = () => performance.now(),
  ) {
    this.#limits = limits
    this.#nowMs = nowMs
  }

  mayAsk(peer: string): boolean {
    return (this.#records.get(peer)?.untilMs ?? 0) <= this.#nowMs()
  }

  rejected(peer: string): void {
    const { firstMs, longestMs } = this.#limits
    const mostUseful = Math.ceil(Math.log2(longestMs / firstMs)) + 1
    const rejections = Math.min(mostUseful, (this.#records.get(peer)?.rejections ?? 0) + 1)
    const pauseMs = Math.min(longestMs, firstMs * 2 ** (rejections - 1))
    if (!this.#records.has(peer) && this.#records.size >= distrustedMax) this.#records.clear()
    this.#records.set(peer, { rejections, untilMs: this.#nowMs() + pauseMs })
  }

  /** What one has sent held. That buys back less than a rejection costs. */
  held(peer: string): void {
    const record = this.#records.get(peer)
    if (record === undefined) return
    const rejections = record.rejections - 0.5
    if (rejections <= 0) this.#records.delete(peer)
    else this.#records.set(peer, { ...record, rejections })
  }
}
