/** The predecessor's files as texts (protocols/marketplace.md §9), each written once for all who ask for it in a while. */
import type { Clock } from '../base/clock.ts'
import { hubKeptMs, hubUnchangedMs } from '../base/limits.ts'
import type { Marketplace } from './marketplace.ts'
import { type MarketKind, writeMarketFile } from './predecessor.ts'

export interface HubFilesParts {
  readonly market: Pick<Marketplace, 'list' | 'standingOf' | 'changes'>
  readonly clock: Clock
  /** Whether strangers' tools and pipelines are given to those who cannot ask for more. */
  readonly strangers: boolean
}

interface Written {
  readonly text: string
  readonly atMs: number
  readonly own: number
  readonly all: number
}

export class HubFiles {
  readonly #parts: HubFilesParts
  readonly #written = new Map<string, Written>()

  constructor(parts: HubFilesParts) {
    this.#parts = parts
  }

  /** The JSON of a file; at most some seconds behind what others list, and never behind what this node does. */
  text(kind: MarketKind, more: boolean): string {
    const { market, clock, strangers } = this.#parts
    const nowMs = clock.now()
    const key = `${kind} ${more}`
    const known = this.#written.get(key)
    if (known !== undefined && this.#isGood(known, nowMs)) return known.text
    const { own, all } = market.changes
    const strangersAtMs = strangers ? nowMs : undefined
    const entries = writeMarketFile(kind, market.list({ kind }), market.standingOf, { more, strangersAtMs })
    const text = JSON.stringify(entries)
    this.#written.set(key, { text, atMs: nowMs, own, all })
    return text
  }

  #isGood({ atMs, own, all }: Written, nowMs: number): boolean {
    const { changes } = this.#parts.market
    if (own !== changes.own) return false
    const ageMs = nowMs - atMs
    // A clock that was put back would keep a file for as long as it was put back by.
    return ageMs >= 0 && ageMs < (all === changes.all ? hubUnchangedMs : hubKeptMs)
  }
}
