import { refusalsPerRoundMax, refusedRoundsMax } from '../base/limits-consensus.ts'
import { strangersWords } from '../base/strangers-words.ts'
import type { ConsensusEvent } from './views.ts'

/** Why this node does not sign records of rounds, for people; kept in memory, since it finds the same after a restart. */
export class Refusals {
  readonly #reasons = new Map<string, string[]>()

  hear(event: ConsensusEvent): void {
    if (event.type !== 'refused') return
    const reasons = this.#reasons.get(event.round) ?? []
    const reason = strangersWords(event.reason)
    if (reasons.includes(reason) || reasons.length >= refusalsPerRoundMax) return
    this.#reasons.set(event.round, [...reasons, reason])
    const [oldest] = this.#reasons.keys()
    if (this.#reasons.size > refusedRoundsMax && oldest !== undefined) this.#reasons.delete(oldest)
  }

  of(round: string): string[] {
    return [...(this.#reasons.get(round) ?? [])]
  }
}
