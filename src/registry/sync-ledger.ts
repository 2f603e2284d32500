import type { Clock } from '../base/clock.ts'
import { isNodeError, messageOf } from '../base/errors.ts'
import { syncDistrustMs, syncPeersToldMax, syncSettleMs } from '../base/limits.ts'
import type { SyncPull } from './sync-pull.ts'

/** How a catch-up with one peer stands, or how the last one ended. */
export interface SyncProgress {
  readonly peer: string
  readonly startedMs: number
  readonly accepted: number
  readonly refused: number
  /** Records that the peer holds in the ranges still open; some of them are held here too. */
  readonly pending: number
  readonly done: boolean
  readonly endedMs?: number
  /** Why it ended before it was complete. */
  readonly failure?: string
}

/** What a peer said last of its whole registry. */
export interface PeerDigest {
  readonly peer: string
  readonly digest: string
  readonly seenMs: number
  /** Whether it was that of this node's registry at that moment. */
  readonly same: boolean
  /** Since when `same` is what it is, by what was heard of the peer. */
  readonly sinceMs: number
}

/** Catch-ups that came to an end since the start, and what they brought. */
export interface SyncTotals {
  readonly done: number
  readonly failed: number
  readonly accepted: number
  readonly refused: number
}

type Figures = Pick<SyncPull, 'accepted' | 'refused' | 'pending'>

/** What an operator sees of the catch-ups: bounded, in memory, the newest last in each map. */
export class SyncLedger {
  readonly #clock: Clock
  readonly #progress = new Map<string, SyncProgress & { figures?: Figures }>()
  readonly #digests = new Map<string, PeerDigest>()
  /** When each peer asked last. */
  readonly #asked = new Map<string, number>()
  /** When each dishonest peer was caught last. */
  readonly #dishonest = new Map<string, number>()

  #totals: SyncTotals = { done: 0, failed: 0, accepted: 0, refused: 0 }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @returns how to say that it ended, and why when it did before it was complete. */
  begin(peer: string, figures: Figures): { end(failure?: unknown): void } {
    const startedMs = this.#clock.now()
    const none = { accepted: 0, refused: 0, pending: 0 }
    keep(this.#progress, peer, { peer, startedMs, ...none, done: false, figures })
    return {
      end: (failure) => {
        if (isNodeError(failure, 'INVALID_INPUT')) keep(this.#dishonest, peer, this.#clock.now())
        const { accepted, refused, pending } = figures
        this.#count(figures, failure === undefined)
        keep(this.#progress, peer, {
          ...{ peer, startedMs, accepted, refused, pending, done: true, endedMs: this.#clock.now() },
          ...(failure === undefined ? {} : { failure: messageOf(failure) }),
        })
      },
    }
  }

  told(peer: string, digest: string, same: boolean): void {
    const seenMs = this.#clock.now()
    const before = this.#digests.get(peer)
    const sinceMs = before?.same === same ? before.sinceMs : seenMs
    keep(this.#digests, peer, { peer, digest, seenMs, same, sinceMs })
  }

  get totals(): SyncTotals {
    return this.#totals
  }

  /** The peer has asked this node something. */
  asked(peer: string): void {
    keep(this.#asked, peer, this.#clock.now())
  }

  /** Whether the peer is pulling from this node just now. */
  asks(peer: string): boolean {
    return this.#clock.now() < (this.#asked.get(peer) ?? 0) + syncSettleMs
  }

  isDistrusted(peer: string): boolean {
    const caughtMs = this.#dishonest.get(peer)
    return caughtMs !== undefined && this.#clock.now() < caughtMs + syncDistrustMs
  }

  progress(): SyncProgress[] {
    const entries = [...this.#progress.values()].reverse()
    return entries.map(({ figures, ...entry }) => {
      if (figures === undefined) return entry
      const { accepted, refused, pending } = figures
      return { ...entry, accepted, refused, pending }
    })
  }

  digests(): PeerDigest[] {
    return [...this.#digests.values()].reverse()
  }

  #count({ accepted, refused }: Figures, complete: boolean): void {
    const { done, failed, ...sum } = this.#totals
    this.#totals = {
      done: done + Number(complete),
      failed: failed + Number(!complete),
      accepted: sum.accepted + accepted,
      refused: sum.refused + refused,
    }
  }
}

/** What is kept last is forgotten last. */
function keep<T>(map: Map<string, T>, peer: string, value: T): void {
  map.delete(peer)
  map.set(peer, value)
  if (map.size > syncPeersToldMax) map.delete(map.keys().next().value as string)
}
