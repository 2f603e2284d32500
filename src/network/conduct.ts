/**
 * How peers behave, as numbers that gossipsub's score and our own limits read. Pure; time is given.
 *
 * - Each rejected message costs one penalty point; points halve every `HALF_LIFE_MS`. Gossipsub multiplies them by its
 *   application weight (10), so that eight rejects in short time pass its graylist threshold (−80) and the peer's
 *   messages are no longer read.
 * - Each message takes a token from a bucket that refills at `gossipRecordsPerSecondMax`.
 */
import { gossipRecordsPerSecondMax, peersMarkedMax, SECOND_MS } from '../base/limits.ts'

const HALF_LIFE_MS = 60 * SECOND_MS
const BURST = 2 * gossipRecordsPerSecondMax

interface Marks {
  penalty: number
  penaltyAtMs: number
  tokens: number
  tokensAtMs: number
}

export class Conduct {
  readonly #peers = new Map<string, Marks>()

  /** Takes one token; false when the peer has sent more than its share. */
  allows(peer: string, nowMs: number): boolean {
    const marks = this.#marks(peer, nowMs)
    const refill = ((nowMs - marks.tokensAtMs) / SECOND_MS) * gossipRecordsPerSecondMax
    marks.tokens = Math.min(BURST, marks.tokens + refill)
    marks.tokensAtMs = nowMs
    if (marks.tokens < 1) return false
    marks.tokens -= 1
    return true
  }

  penalise(peer: string, nowMs: number): void {
    const marks = this.#marks(peer, nowMs)
    marks.penalty = decayed(marks, nowMs) + 1
    marks.penaltyAtMs = nowMs
  }

  /** Zero for a peer that never misbehaved, else the negative of its penalty points. */
  score(peer: string, nowMs: number): number {
    const marks = this.#peers.get(peer)
    return marks === undefined ? 0 : -decayed(marks, nowMs)
  }

  /** Called when a peer is gone: what is held against it stays until it has faded, the rest is forgotten. */
  forget(peer: string, nowMs: number): void {
    const marks = this.#peers.get(peer)
    if (marks !== undefined && decayed(marks, nowMs) < 0.01) this.#peers.delete(peer)
  }

  /** Frees room: those whose penalties have faded, and if that is not enough, those marked first. */
  #forgetFaded(nowMs: number): void {
    for (const peer of [...this.#peers.keys()]) this.forget(peer, nowMs)
    for (const peer of this.#peers.keys()) {
      if (this.#peers.size < peersMarkedMax) break
      this.#peers.delete(peer)
    }
  }

  #marks(peer: string, nowMs: number): Marks {
    let marks = this.#peers.get(peer)
    if (marks === undefined) {
      if (this.#peers.size >= peersMarkedMax) this.#forgetFaded(nowMs)
      marks = { penalty: 0, penaltyAtMs: nowMs, tokens: BURST, tokensAtMs: nowMs }
      this.#peers.set(peer, marks)
    }
    return marks
  }
}

function decayed(marks: Marks, nowMs: number): number {
  return marks.penalty * 0.5 ** ((nowMs - marks.penaltyAtMs) / HALF_LIFE_MS)
}
