/**
 * What the rounds of one dataset are to each other while they have their turns: taken in once, and kept up after each
 * turn, so that many rounds do not look at each other over and over.
 */
import { clockSkewMaxMs } from '../base/limits.ts'
import { type Rival, rivalOf } from './decisions.ts'
import type { FollowedRounds } from './followed-rounds.ts'
import { projectRound, type RoundFacts, type RoundRecords } from './round.ts'
import { compareRounds, formatRoundId, type RoundId } from './round-id.ts'
import type { Sightings } from './sightings.ts'

export interface FieldParts {
  readonly self: string
  readonly rounds: Pick<FollowedRounds, 'known' | 'live'>
  readonly sightings: Pick<Sightings, 'openings' | 'hasVoted'>
  readonly records: (id: RoundId) => RoundRecords
  readonly facts: RoundFacts
  readonly now: number
}

export class Field {
  readonly #parts: FieldParts
  readonly #rivals = new Map<string, Rival>()
  #signedMs = 0
  #latestMs = 0

  constructor(parts: FieldParts) {
    this.#parts = parts
    for (const id of parts.rounds.live()) this.#measure(id)
    for (const [, id] of parts.rounds.known()) this.#time(id)
  }

  /** The rounds under way. */
  rivals(): Rival[] {
    return [...this.#rivals.values()]
  }

  /** The same but for one that looks at them. */
  rivalsOf(id: RoundId): Rival[] {
    return this.rivals().filter((rival) => compareRounds(rival.id, id) !== 0)
  }

  /** When the latest round in which this node has signed was opened, ms; 0 when there is none. */
  get signedMs(): number {
    return this.#signedMs
  }

  /** When the latest round was opened, ms; 0 when there is none. */
  get latestMs(): number {
    return this.#latestMs
  }

  /** Takes in what a round has become in its turn. */
  refresh(id: RoundId): void {
    this.#measure(id)
    this.#time(id)
  }

  #measure(id: RoundId): void {
    const { records, facts, now, self } = this.#parts
    const known = records(id)
    const status = projectRound(known, facts, now)
    if (status === undefined) this.#rivals.delete(formatRoundId(id))
    else this.#rivals.set(formatRoundId(id), rivalOf(known, status, facts, self))
  }

  #time(id: RoundId): void {
    const { sightings, now, self } = this.#parts
    // What a liar dates into the future does not count.
    const times = sightings.openings(id).map(({ value }) => value.openedMs)
    const openedMs = Math.max(0, ...times.filter((time) => time <= now + clockSkewMaxMs))
    this.#latestMs = Math.max(this.#latestMs, openedMs)
    if (openedMs <= this.#signedMs || !sightings.hasVoted(formatRoundId(id), self)) return
    this.#signedMs = openedMs
  }
}
