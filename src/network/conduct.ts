/**
 * How peers behave, as numbers that gossipsub's score and our own limits read. Pure; time is given.
 *
 * - Each rejected message costs one penalty point; points halve every `HALF_LIFE_MS`. Gossipsub multiplies them by its
 *   application weight (10), so that eight rejects in short time pass its graylist threshold (−80) and the peer's
 *   messages are no longer read.
 * - Each message takes a token from a bucket that refills at `gossipRecordsPerSecondMax`.
 * - Each topic that a peer names takes one from another bucket. Who empties that floods our tables: it is hung up on, and
 *   barred for `peerBarredMs`.
 */
import {
  gossipRecordsPerSecondMax,
  peerBarredMs,
  peersMarkedMax,
  SECOND_MS,
  topicsNamedPerPeerMax,
} from '../base/limits.ts'

const HALF_LIFE_MS = 60 * SECOND_MS
const BURST = 2 * gossipRecordsPerSecondMax
/** One who loses its connection again and again names its topics every time. */
const TOPICS_PER_SECOND = 1

interface Bucket {
  tokens: number
  atMs: number
}

interface Marks {
  penalty: number
  penaltyAtMs: number
  readonly messages: Bucket
  readonly topics: Bucket
  barredUntilMs: number
}

export class Conduct {
  readonly #peers = new Map<string, Marks>()

  /** Takes one token; false when the peer has sent more than its share. */
  allows(peer: string, nowMs: number): boolean {
    return take(this.#marks(peer, nowMs).messages, 1, nowMs, gossipRecordsPerSecondMax, BURST)
  }

  /** Takes a token for each topic that the peer names; false when it names more than anybody needs. */
  allowsTopics(peer: string, count: number, nowMs: number): boolean {
    const { topics } = this.#marks(peer, nowMs)
    return take(topics, count, nowMs, TOPICS_PER_SECOND, topicsNamedPerPeerMax)
  }

  /** Keeps a peer out for a while. */
  bar(peer: string, nowMs: number): void {
    this.penalise(peer, nowMs)
    this.#marks(peer, nowMs).barredUntilMs = nowMs + peerBarredMs
  }

  isBarred(peer: string, nowMs: number): boolean {
    return (this.#peers.get(peer)?.barredUntilMs ?? 0) > nowMs
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
    if (marks === undefined || marks.barredUntilMs > nowMs) return
    if (decayed(marks, nowMs) < 0.01) this.#peers.delete(peer)
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
      const full = (tokens: number): Bucket => ({ tokens, atMs: nowMs })
      const buckets = { messages: full(BURST), topics: full(topicsNamedPerPeerMax) }
      marks = { penalty: 0, penaltyAtMs: nowMs, ...buckets, barredUntilMs: 0 }
      this.#peers.set(peer, marks)
    }
    return marks
  }
}

/** All or nothing, so that a bucket never owes. */
function take(bucket: Bucket, count: number, nowMs: number, perSecond: number, most: number): boolean {
  const refill = ((nowMs - bucket.atMs) / SECOND_MS) * perSecond
  bucket.tokens = Math.min(most, bucket.tokens + refill)
  bucket.atMs = nowMs
  if (bucket.tokens < count) return false
  bucket.tokens -= count
  return true
}

function decayed(marks: Marks, nowMs: number): number {
  return marks.penalty * 0.5 ** ((nowMs - marks.penaltyAtMs) / HALF_LIFE_MS)
}
