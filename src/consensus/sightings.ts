/**
 * What this node has seen of each round: the registry's records, when they arrived, and what a member said before it
 * said something else. Only arrival times and first words are kept here; all else is read from the registry.
 */
import type { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import {
  arrivalsPerMemberMax,
  ballotsPerMemberMax,
  earlyRoundsMax,
  votesPerMemberMax,
} from '../base/limits.ts'
import type { SealedRecord } from '../registry/record.ts'
import type { Registry } from '../registry/registry.ts'
import type { Entry } from '../registry/watchers.ts'
import type { Evidence } from './evidence.ts'
import type { PreparedProof } from './prepared.ts'
import {
  type Ballot,
  ballotSchema,
  type Claim,
  type Closing,
  type Confirmation,
  closingSchema,
  confirmationSchema,
  type Opening,
  openingSchema,
  parseValue,
  preparedSchema,
  type Signed,
  type Vote,
  valueHash,
  voteSchema,
} from './records.ts'
import type { RoundRecords, SeenBallot } from './round.ts'
import {
  ballotKey,
  closingKey,
  confirmationKey,
  confirmationsPrefix,
  formatRoundId,
  openingKey,
  parseRoundId,
  preparedKey,
  type RoundId,
  roundOfKey,
  voteKey,
  votesPrefix,
} from './round-id.ts'
import type { SeenConfirmation, SeenVote, SeenWord } from './votes.ts'

export interface SightingsParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'claims' | 'envelope'>
  readonly clock: Clock
  readonly evidence: Pick<Evidence, 'of'>
}

/** What is remembered of one round. */
interface Memory {
  /** When a value first reached this node, by author and hash. */
  readonly arrivals: Map<string, Map<string, number>>
  readonly ballots: Map<string, SeenBallot[]>
  readonly votes: Map<string, SeenVote[]>
  readonly confirmations: Map<string, SeenConfirmation[]>
  /** Quorums of votes by who showed them last. */
  readonly shown: Map<string, Shown>
}

interface Shown {
  readonly opening: Claim<Opening>
  readonly closing: Claim<Closing>
  readonly votes: readonly SeenVote[]
}

/** A record of the registry, or one that it has only as proof. */
type Said = Pick<Entry, 'key' | 'author' | 'value' | 'timeMs'>

/** What a member has signed last in a round, as the registry has it. */
export interface OwnWords {
  readonly vote?: Vote | undefined
  readonly confirmation?: Confirmation | undefined
  /** The view of the quorum of votes that it shows to the others. */
  readonly shownMs?: number | undefined
}

export class Sightings {
  readonly #parts: SightingsParts
  /** Of the rounds that somebody looks at, until they are forgotten. */
  readonly #memories = new Map<string, Memory>()
  /** Of those that nobody has looked at yet: anybody can name rounds without end, so the oldest make room. */
  readonly #early = new Map<string, Memory>()
  /** What a value says, by its bytes: rounds are looked at often, and records never change. */
  readonly #parsed = new WeakMap<Uint8Array, Signed<unknown> | undefined>()
  readonly #hashes = new WeakMap<Uint8Array, string>()

  constructor(parts: SightingsParts) {
    this.#parts = parts
  }

  /** Remembers a ballot or vote as it arrives, so that what replaces it does not make it unsaid. */
  note(round: string, entry: Entry): void {
    const memory = this.#memories.get(round) ?? this.#earlyMemory(round)
    if (entry.key === ballotKey(round, entry.author)) this.#noteBallot(memory, entry)
    else if (entry.key === voteKey(round, entry.author))
      this.#noteWord(memory.votes, voteSchema, memory, entry)
    else if (entry.key === confirmationKey(round, entry.author))
      this.#noteWord(memory.confirmations, confirmationSchema, memory, entry)
    else this.#arrival(memory, entry)
  }

  /** Remembers what a member said under the very version of something else: what is not shown was said all the same. */
  contradicted(round: string, { key, author, value, time: timeMs, envelope }: SealedRecord): void {
    if (value === null) return
    const memory = this.#memories.get(round) ?? this.#earlyMemory(round)
    const said = { key, author, value, timeMs }
    if (key === ballotKey(round, author)) this.#noteBallot(memory, said, envelope)
    else if (key === voteKey(round, author)) this.#noteWord(memory.votes, voteSchema, memory, said, envelope)
    else if (key === confirmationKey(round, author))
      this.#noteWord(memory.confirmations, confirmationSchema, memory, said, envelope)
  }

  /** Whether somebody looks at the round: of others only first words are kept. */
  watches(round: string): boolean {
    return this.#memories.has(round)
  }

  /** All that is known of the round; `peers` are those whose ballots and votes are looked for. */
  records(id: RoundId, peers: readonly string[]): RoundRecords {
    const { registry } = this.#parts
    const round = formatRoundId(id)
    const memory = this.#memory(round)
    const openings = this.openings(id)
    const shown = [...memory.shown.values()]
    const closings = unite(
      this.#claims(memory, closingKey(round), closingSchema),
      shown.map(({ closing }) => closing),
    )
    const voters = new Set([...peers, ...openings.flatMap(({ value }) => value.electorate)])
    for (const peer of voters) {
      const ballot = registry.get(ballotKey(round, peer))
      if (ballot !== undefined) this.#noteBallot(memory, ballot)
      const vote = registry.get(voteKey(round, peer))
      if (vote !== undefined) this.#noteWord(memory.votes, voteSchema, memory, vote)
      const confirmation = registry.get(confirmationKey(round, peer))
      if (confirmation !== undefined)
        this.#noteWord(memory.confirmations, confirmationSchema, memory, confirmation)
    }
    const ballots = [...memory.ballots.values()].flat()
    const votes = distinct([...[...memory.votes.values()].flat(), ...shown.flatMap((one) => one.votes)])
    const proven = this.#parts.evidence.of(round).filter(({ what }) => what === 'two-ballots')
    return {
      id,
      equivocators: new Set(proven.map(({ peer }) => peer)),
      openings,
      closings,
      ballots,
      votes,
      confirmations: [...memory.confirmations.values()].flat(),
    }
  }

  /** What members say the opening of the round is. */
  openings(id: RoundId): Claim<Opening>[] {
    const round = formatRoundId(id)
    const memory = this.#memory(round)
    return unite(
      this.#claims(memory, openingKey(round), openingSchema),
      [...memory.shown.values()].map(({ opening }) => opening),
    )
  }

  /** Takes in a quorum of votes that `by` shows; of one member the last one. */
  learn(round: string, by: string, { opening, closing }: PreparedProof, votes: readonly SeenVote[]): void {
    const seenMs = this.#parts.clock.now()
    this.#memory(round).shown.set(by, {
      opening: { ...opening, author: opening.value.openedBy, seenMs },
      closing: { ...closing, author: by, seenMs },
      votes,
    })
  }

  /** The rounds of a dataset in which `self` has signed something of a view later than `sinceMs`. */
  signedBy(self: string, dataset: string, sinceMs: number): RoundId[] {
    const { registry } = this.#parts
    const entries = [votesPrefix, confirmationsPrefix].flatMap((room) => registry.list(`${room}${dataset}/`))
    const rounds = new Set(entries.filter((one) => one.author === self).map(({ key }) => roundOfKey(key)))
    return [...rounds].flatMap((round) => {
      const { vote, confirmation } = this.own(round ?? '', self)
      const id = parseRoundId(round ?? '')
      return id && Math.max(vote?.view ?? 0, confirmation?.view ?? 0) > sinceMs ? [id] : []
    })
  }

  /** What this node has signed: the registry remembers, whatever was seen or planned. */
  own(round: string, self: string): OwnWords {
    const { registry } = this.#parts
    const vote = registry.get(voteKey(round, self))
    const confirmation = registry.get(confirmationKey(round, self))
    const shown = registry.get(preparedKey(round, self))
    return {
      vote: vote && this.#parse(voteSchema, vote)?.value,
      confirmation: confirmation && this.#parse(confirmationSchema, confirmation)?.value,
      shownMs: shown && this.#parse(preparedSchema, shown)?.value.view,
    }
  }

  /** Notes what looking into a ballot's commit found: nothing wrong, or a defect. */
  examined(round: string, peer: string, ballot: Ballot, defect: string | undefined, by = ''): void {
    const seen = this.#memory(round).ballots.get(peer) ?? []
    const index = seen.findIndex((b) => b.commit === ballot.commit && b.tree === ballot.tree)
    const found = seen[index]
    if (found === undefined || (found.readyMs !== undefined && (found.examinedBy ?? '') === by)) return
    // When a commit was here first does not hang on how it was looked into.
    const readyMs = found.readyMs ?? this.#parts.clock.now()
    const { readyMs: _, defect: __, ...bare } = found
    seen[index] =
      defect === undefined ? { ...bare, examinedBy: by, readyMs } : { ...bare, examinedBy: by, defect }
  }

  forget(round: string): void {
    this.#memories.delete(round)
    this.#early.delete(round)
  }

  #claims<T>(memory: Memory, key: string, schema: z.ZodType<T>): Claim<T>[] {
    const claims: Claim<T>[] = []
    for (const entry of this.#parts.registry.claims(key)) {
      const record = this.#parse(schema, entry)
      if (record === undefined) continue
      claims.push({ ...record, author: entry.author, seenMs: this.#arrival(memory, entry) })
    }
    return claims
  }

  #noteBallot(memory: Memory, entry: Said, envelope?: Uint8Array): void {
    const ballot = this.#parse(ballotSchema, entry)?.value
    if (ballot === undefined) return
    const seen = memory.ballots.get(entry.author) ?? []
    if (seen.some((b) => b.commit === ballot.commit && b.tree === ballot.tree)) return
    if (seen.length >= ballotsPerMemberMax) return
    const { author: peer, timeMs } = entry
    const sealed = envelope ?? this.#parts.registry.envelope(entry.key, peer)
    seen.push({ ...ballot, peer, timeMs, seenMs: this.#arrival(memory, entry), sealed })
    memory.ballots.set(entry.author, seen)
  }

  /** What a member says later does not make unsaid what it said first, nor what it said last before. */
  #noteWord<T extends Vote | Confirmation>(
    words: Map<string, (T & SeenWord)[]>,
    schema: z.ZodType<T>,
    memory: Memory,
    entry: Said,
    envelope?: Uint8Array,
  ): void {
    const word = this.#parse(schema, entry)?.value
    if (word === undefined) return
    const { author: peer, timeMs } = entry
    const known = words.get(peer) ?? []
    const { closing, commit, view } = word
    if (known.some((one) => one.view === view && one.closing === closing && one.commit === commit)) return
    const sealed = envelope ?? this.#parts.registry.envelope(entry.key, peer)
    if (sealed === undefined) return
    known.push({ ...word, peer, timeMs, seenMs: this.#arrival(memory, entry), sealed })
    if (known.length > votesPerMemberMax) known.splice(1, 1)
    words.set(peer, known)
  }

  /** A value stands under one kind of key, so its bytes are only ever read by one schema. */
  #parse<T>(schema: z.ZodType<T>, { value }: Pick<Said, 'value'>): Signed<T> | undefined {
    if (!this.#parsed.has(value)) this.#parsed.set(value, parseValue(schema, value))
    return this.#parsed.get(value) as Signed<T> | undefined
  }

  #arrival(memory: Memory, entry: Pick<Said, 'author' | 'value'>): number {
    const hash = this.#hashes.get(entry.value) ?? valueHash(entry.value)
    this.#hashes.set(entry.value, hash)
    const own = memory.arrivals.get(entry.author) ?? new Map<string, number>()
    const known = own.get(hash)
    if (known !== undefined) return known
    const now = this.#parts.clock.now()
    memory.arrivals.set(entry.author, own.set(hash, now))
    // Who writes its records over and over finds its first ones forgotten.
    const [oldest] = own.keys()
    if (own.size > arrivalsPerMemberMax && oldest !== undefined) own.delete(oldest)
    return now
  }

  #memory(round: string): Memory {
    const known = this.#memories.get(round)
    if (known !== undefined) return known
    const memory = this.#early.get(round) ?? newMemory()
    this.#early.delete(round)
    this.#memories.set(round, memory)
    return memory
  }

  #earlyMemory(round: string): Memory {
    const memory = this.#early.get(round) ?? newMemory()
    this.#early.set(round, memory)
    const [oldest] = this.#early.keys()
    if (this.#early.size > earlyRoundsMax && oldest !== undefined) this.#early.delete(oldest)
    return memory
  }
}

/** Of one vote what was seen first: as it was cast, before what others show of it. */
function distinct(votes: readonly SeenVote[]): SeenVote[] {
  const known = new Set<string>()
  return votes.filter(({ peer, view, closing, commit }) => {
    const name = `${peer} ${view} ${closing} ${commit}`
    return !known.has(name) && known.add(name)
  })
}

/** Of one record the claim that came first. */
function unite<T>(claims: readonly Claim<T>[], more: readonly Claim<T>[]): Claim<T>[] {
  const known = new Set(claims.map(({ hash }) => hash))
  const added = more.filter(({ hash }) => !known.has(hash) && known.add(hash))
  return [...claims, ...added]
}

function newMemory(): Memory {
  const [arrivals, ballots, votes, confirmations] = [new Map(), new Map(), new Map(), new Map()]
  return { arrivals, ballots, votes, confirmations, shown: new Map() }
}
