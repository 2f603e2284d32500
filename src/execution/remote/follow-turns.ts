import { NodeError } from '../../base/errors.ts'
import { remoteFollowTurnMs } from '../../base/limits.ts'

interface Turns {
  free: number
  readonly waiting: (() => void)[]
}

/** A host serves few followers of one member: more runs than that are followed in turn. */
export class FollowTurns {
  readonly #atOnce: number
  readonly #turnMs: number
  readonly #hosts = new Map<string, Turns>()

  constructor(atOnce: number, turnMs: number = remoteFollowTurnMs) {
    this.#atOnce = atOnce
    this.#turnMs = turnMs
  }

  /**
   * Follows once there is room. Its signal aborts, for the next in line, when others wait and the turn is over; then this
   * resolves as it would at the end of the following.
   *
   * @throws what `follow` throws, the signal's reason.
   */
  async take(
    peer: string,
    signal: AbortSignal,
    follow: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const turns = this.#hosts.get(peer) ?? { free: this.#atOnce, waiting: [] }
    this.#hosts.set(peer, turns)
    if (turns.free > 0) turns.free -= 1
    else await new Promise<void>((resolve) => turns.waiting.push(resolve))
    const over = new AbortController()
    const timer = setInterval(() => {
      if (turns.waiting.length > 0) over.abort(new NodeError('CANCELLED', 'Others wait for their turn'))
    }, this.#turnMs)
    timer.unref()
    try {
      signal.throwIfAborted()
      await follow(AbortSignal.any([signal, over.signal]))
    } catch (error) {
      if (!over.signal.aborted) throw error
    } finally {
      clearInterval(timer)
      const next = turns.waiting.shift()
      if (next === undefined) turns.free += 1
      else next()
      if (turns.free === this.#atOnce) this.#hosts.delete(peer)
    }
  }
}
