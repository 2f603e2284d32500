/**
 * Which rounds of one dataset this node knows, and which of them it looks at because something may still change them.
 * Whoever opens rounds without end finds its further ones left alone; those of the others are followed as ever.
 */
import { openRoundsMax, openRoundsPerMemberMax } from '../base/limits.ts'
import { formatRoundId, type RoundId } from './round-id.ts'

interface Followed {
  readonly id: RoundId
  /** Whose opening it is counted to; nobody's when this node has its own reason to follow it. */
  readonly opener: string | undefined
}

export class FollowedRounds {
  readonly #rounds = new Map<string, Followed>()
  readonly #live = new Set<string>()

  has(round: string): boolean {
    return this.#rounds.has(round)
  }

  openerOf(round: string): string | undefined {
    return this.#rounds.get(round)?.opener
  }

  /** All rounds that are known. */
  known(): [string, RoundId][] {
    return [...this.#rounds].map(([round, { id }]) => [round, id])
  }

  /** Those that may still change. */
  live(): RoundId[] {
    return [...this.#live].map((round) => this.#rounds.get(round)?.id).filter((id) => id !== undefined)
  }

  get isEmpty(): boolean {
    return this.#live.size === 0
  }

  /** Looks at a round from now on. @returns false when its opener, or everybody together, has too many under way. */
  follow(round: string, id: RoundId, opener?: string): boolean {
    if (this.#live.has(round)) return true
    const known = this.#rounds.get(round)
    if (opener !== undefined && !this.#hasRoom(opener)) return false
    if (known === undefined) this.#rounds.set(round, { id, opener })
    this.#live.add(round)
    return true
  }

  /** Knows of a round that there is no need to look at. */
  know(id: RoundId): void {
    const round = formatRoundId(id)
    if (!this.#rounds.has(round)) this.#rounds.set(round, { id, opener: undefined })
  }

  /** Looks once more at the rounds that `matter` picks, the latest of each opener first. */
  revive(matter: (id: RoundId) => boolean): void {
    for (const [round, { id, opener }] of [...this.#rounds].reverse()) {
      if (!this.#live.has(round) && matter(id)) this.follow(round, id, opener)
    }
  }

  /** Nothing can change the round any more; it stays known. */
  rest(round: string): void {
    this.#live.delete(round)
  }

  remove(round: string): void {
    this.#live.delete(round)
    this.#rounds.delete(round)
  }

  #hasRoom(opener: string): boolean {
    if (this.#live.size >= openRoundsMax) return false
    let own = 0
    for (const round of this.#live) if (this.#rounds.get(round)?.opener === opener) own += 1
    return own < openRoundsPerMemberMax
  }
}
