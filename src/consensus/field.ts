/**
 * What the rounds of one dataset are to each other while they have their turns: taken in once, and kept up after each
 * turn, so that many rounds do not look at each other over and over.
 */
import { openingAheadMaxMs } from '../base/limits.ts'
import { rivalOf } from './decisions.ts'
import type { FollowedRounds } from './followed-rounds.ts'
import type { PreparedResult, Standing } from './locking.ts'
import type { Rival } from './plan.ts'
import { isVoid, projectRound, type RoundFacts, type RoundRecords } from './round.ts'
import { compareRounds, formatRoundId, type RoundId } from './round-id.ts'
import type { OwnWords, Sightings } from './sightings.ts'

export interface FieldParts {
  readonly self: string
  readonly rounds: Pick<FollowedRounds, 'known' | 'live'>
  readonly sightings: Pick<Sightings, 'openings' | 'own'>
  readonly records: (id: RoundId) => RoundRecords
  readonly facts: RoundFacts
  /** When the truth was opened, or the dataset founded, ms. */
  readonly sinceMs: number
  readonly now: number
}

/** What a round adds to what this node is bound by. */
interface Share extends Pick<Standing, 'votedMs' | 'confirmedMs' | 'lock' | 'renewals'> {
  readonly prepared?: PreparedResult | undefined
}

export class Field {
  readonly #parts: FieldParts
  readonly #rivals = new Map<string, Rival>()
  readonly #shares = new Map<string, Share>()
  #latestMs = 0

  constructor(parts: FieldParts) {
    this.#parts = parts
    const live = new Set(parts.rounds.live().map(formatRoundId))
    for (const [round, id] of parts.rounds.known()) this.#look(id, live.has(round))
  }

  /** The rounds under way. */
  rivals(): Rival[] {
    return [...this.#rivals.values()]
  }

  /** The same but for one that looks at them. */
  rivalsOf(id: RoundId): Rival[] {
    return this.rivals().filter((rival) => compareRounds(rival.id, id) !== 0)
  }

  /** What this node is bound by. */
  get standing(): Standing {
    const shares = [...this.#shares.values()]
    const latest = <T extends { readonly view: number }>(all: readonly (T | undefined)[]): T[] =>
      all.filter((one) => one !== undefined).sort((a, b) => b.view - a.view)
    return {
      votedMs: Math.max(-1, ...shares.map(({ votedMs }) => votedMs)),
      confirmedMs: Math.max(-1, ...shares.map(({ confirmedMs }) => confirmedMs)),
      lock: latest(shares.map(({ lock }) => lock))[0],
      prepared: latest(shares.map(({ prepared }) => prepared)),
      renewals: shares.flatMap(({ renewals }) => renewals),
    }
  }

  /** When the latest round was opened, or voted on by this node, ms; 0 when there is none. */
  get latestMs(): number {
    const { votedMs, confirmedMs } = this.standing
    return Math.max(this.#latestMs, votedMs, confirmedMs)
  }

  /** Takes in what a round has become in its turn. */
  refresh(id: RoundId): void {
    this.#look(id, true)
  }

  #look(id: RoundId, live: boolean): void {
    const { sightings, now, self, facts, sinceMs } = this.#parts
    const round = formatRoundId(id)
    // What a liar dates into the future does not count.
    const times = sightings.openings(id).map(({ value }) => value.openedMs)
    this.#latestMs = Math.max(this.#latestMs, ...times.filter((time) => time <= now + openingAheadMaxMs))
    const own = sightings.own(round, self)
    const signed = { votedMs: own.vote?.view ?? -1, confirmedMs: own.confirmation?.view ?? -1, renewals: [] }
    // What was confirmed before the truth was opened is about another height.
    const mayLock = signed.confirmedMs > sinceMs && facts.truth?.round !== round
    const records = live || mayLock ? this.#parts.records(id) : undefined
    const share = { ...signed, ...(records && live ? this.#shareOf(records) : {}) }
    this.#shares.set(round, { ...share, lock: mayLock && records ? this.#lockOf(own, records) : undefined })
  }

  /** What is under way in the round: its place among the others, and the votes that are to be heard of. */
  #shareOf(records: RoundRecords): Partial<Share> {
    const { facts, now, self } = this.#parts
    const round = formatRoundId(records.id)
    const status = projectRound(records, facts, now)
    if (status === undefined) {
      this.#rivals.delete(round)
      return {}
    }
    this.#rivals.set(round, rivalOf(records, status, facts, self))
    const { state, prepared } = status
    if (state !== 'closed' || prepared?.opening.value.height !== this.#height) return {}
    const again = records.votes.filter(({ view }) => view > prepared.opening.value.openedMs)
    const renewals = again.map(({ peer, closing, commit, view }) => {
      return { peer, closing, commit, view, round: records.id }
    })
    return { prepared: { ...prepared, round: records.id }, renewals }
  }

  #lockOf({ confirmation }: OwnWords, { id, openings, closings }: RoundRecords): Standing['lock'] {
    if (confirmation === undefined) return undefined
    const closing = closings.find(({ hash }) => hash === confirmation.closing)
    const opening = openings.find(({ hash }) => hash === closing?.value.opening)
    // Where its records are gone it is not known what the lock is about: it binds, then.
    if (opening !== undefined) {
      if (opening.value.height !== this.#height) return undefined
      // [V7] What can never be certified binds nobody.
      if (isVoid(opening.value, this.#parts.facts.members)) return undefined
    }
    return { round: id, ...confirmation }
  }

  /** The height that is open. */
  get #height(): number {
    return (this.#parts.facts.truth?.height ?? 0) + 1
  }
}
