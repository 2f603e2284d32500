import { silentLogger } from '../../src/base/logger.ts'
import { rankOf, refuseTruth } from '../../src/consensus/certificate.ts'
import { factsOf, nextActions } from '../../src/consensus/decisions.ts'
import { Duties } from '../../src/consensus/duties.ts'
import { isOver } from '../../src/consensus/endings.ts'
import { Field } from '../../src/consensus/field.ts'
import { FollowedRounds } from '../../src/consensus/followed-rounds.ts'
import type { Action, Situation } from '../../src/consensus/plan.ts'
import { PreparedProofs } from '../../src/consensus/prepared-proofs.ts'
import {
  type Closing,
  confirmationSchema,
  type Opening,
  parseValue,
  voteSchema,
} from '../../src/consensus/records.ts'
import { projectRound, type RoundRecords, type RoundStatus } from '../../src/consensus/round.ts'
import {
  compareRounds,
  formatRoundId,
  parseRoundId,
  preparedPrefix,
  type RoundId,
  roundOfKey,
  truthKey,
} from '../../src/consensus/round-id.ts'
import { Sightings } from '../../src/consensus/sightings.ts'
import type { Entry } from '../../src/registry/watchers.ts'
import { openSealed } from './voting.ts'
import { NOTHING, VotingRegistry } from './voting-registry.ts'
import { countIn, unlocked } from './voting-rules.ts'
import { DATASET, type World } from './voting-world.ts'

const LOOKS_MAX = 8
const SOON_MS = 50
const OWN = /^\/(?:ballots|votes|confirmations|prepared)\//

/** The power fails. */
class Crash extends Error {}

export interface PutOptions {
  readonly timeMs?: number
  /** Whom it is sent to; nobody else learns of it from its author. */
  readonly to?: readonly string[]
  /** The version that it replaces is kept by those who do not hear of it. */
  readonly version?: number
}

export class VotingNode {
  readonly peer: string
  readonly world: World
  /** Dishonest members put something else in here. @returns whether to look at the round again. */
  act: (action: Action, situation: Situation) => Promise<boolean>
  /** The truths that this node has held, in order. */
  readonly truths: { height: number; commit: string }[] = []
  readonly wishes = new Map<string, { commit: string; tree: string; sinceMs: number; windowMs: number }>()
  isDown = false
  /** All of these outlive a crash. */
  readonly registry = new VotingRegistry()
  readonly #pledges = new Map<string, Uint8Array>()
  readonly #clockErrorMs: number
  readonly #refuse: ReturnType<typeof refuseTruth>
  /** And these do not. */
  #sightings!: Sightings
  #prepared!: PreparedProofs
  #duties!: Duties
  #rounds!: FollowedRounds
  /** Until something of the round changes. */
  readonly #looked = new Map<string, RoundRecords>()
  readonly #peers: readonly string[]
  #wakeMs: number | undefined
  #truth: { value: Uint8Array; rank: ReturnType<typeof rankOf> } | undefined
  #changed = false
  #isSoon = false

  constructor(peer: string, world: World) {
    this.peer = peer
    this.world = world
    this.#peers = world.members.map((member) => member.peer)
    this.#clockErrorMs = Math.round((world.random() * 2 - 1) * world.weather.clockErrorMs)
    this.#refuse = refuseTruth(() => world.members)
    this.act = (action, situation) => this.perform(action, situation)
    this.#boot()
  }

  now(): number {
    return Math.floor(this.world.now) + this.#clockErrorMs
  }

  get isHonest(): boolean {
    return !this.world.liars.has(this.peer)
  }

  get(key: string): Entry | undefined {
    return this.registry.get(key)
  }

  /** The rounds that this node knows. */
  known(): RoundId[] {
    return this.#rounds.known().map(([, id]) => id)
  }

  status(id: RoundId): RoundStatus | undefined {
    return projectRound(this.records(id), this.#facts(), this.now())
  }

  records(id: RoundId): RoundRecords {
    const round = formatRoundId(id)
    const known = this.#looked.get(round)
    if (known !== undefined) return known
    const records = this.#sightings.records(id, this.#peers)
    this.#looked.set(round, records)
    return records
  }

  certified() {
    const value = this.get(truthKey(DATASET))?.value
    if (value !== this.#truth?.value) this.#truth = value && { value, rank: rankOf(value) }
    return this.#truth?.rank
  }

  /** This node's scheduled run of `slot` came to this result. */
  async wish(step: string, slot: number, windowMs: number, ballot: { commit: string; tree: string }) {
    const id = { dataset: DATASET, step, slot }
    this.wishes.set(formatRoundId(id), { ...ballot, sinceMs: this.now(), windowMs })
    if (this.isDown) return
    this.#rounds.follow(formatRoundId(id), id)
    this.#changed = true
    await this.evaluateIfChanged()
  }

  /** Writes a record in this node's name, here and to everybody (or to some only). */
  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<Entry> {
    this.#mayCrash()
    const entry = this.registry.next(key, this.peer, value, options.timeMs ?? this.now(), options.version)
    this.#keep(entry)
    this.world.written.push(entry)
    this.#sign(entry)
    this.#mayCrash()
    this.world.broadcast(this.peer, entry, options.to)
    return entry
  }

  /** Takes a record back: for everybody who hears of it, it was never there. */
  async withdraw(key: string, to?: readonly string[]): Promise<void> {
    await this.put(key, NOTHING, to === undefined ? {} : { to })
  }

  async receive(entry: Entry): Promise<void> {
    if (this.isDown) return
    await this.#prove(entry)
    this.#evaluateSoon()
  }

  /** Takes a record in, if it may be; what follows from it is looked at later. */
  take(entry: Entry): void {
    if (entry.key.startsWith('/truth/')) this.world.at(this.world.now, () => this.receive(entry))
    else this.#take(entry)
  }

  /** What an honest member does. */
  perform(action: Action, situation: Situation): Promise<boolean> {
    return this.#duties.perform(action, situation, new AbortController().signal)
  }

  /** What comes at about the same time is looked at together. */
  #evaluateSoon(): void {
    if (this.#isSoon) return
    this.#isSoon = true
    this.world.at(this.world.now + SOON_MS, () => {
      this.#isSoon = false
      return this.evaluateIfChanged()
    })
  }

  async evaluateIfChanged(): Promise<void> {
    if (!this.#changed || this.isDown) return
    this.#changed = false
    try {
      await this.#evaluate()
    } catch (error) {
      if (!(error instanceof Crash)) throw error
      this.crash()
    }
  }

  /** All that is not on the disk is gone; it is back after a while. */
  crash(): void {
    if (this.isDown) return
    this.isDown = true
    this.world.crashes += 1
    this.world.at(this.world.now + 500 + this.world.random() ** 3 * 250_000, () => this.restart())
  }

  async restart(): Promise<void> {
    if (!this.isDown) return
    this.isDown = false
    this.#boot()
    for (const key of this.registry.keys()) this.#hear(key)
    for (const round of this.wishes.keys()) this.#follow(round)
    this.#changed = true
    await this.evaluateIfChanged()
  }

  #boot(): void {
    const { peer: self, world } = this
    this.#looked.clear()
    this.#wakeMs = undefined
    this.#rounds = new FollowedRounds()
    this.#sightings = new Sightings({ registry: this.registry, clock: this, evidence: { of: () => [] } })
    const pledges = {
      get: (round: string) => this.#pledges.get(round),
      of: () => [...this.#pledges],
      keep: async (round: string, value: Uint8Array) => {
        this.#mayCrash()
        this.#pledges.set(round, value)
        this.#mayCrash()
      },
      drop: async (round: string) => {
        this.#pledges.delete(round)
      },
    }
    const registry = {
      get: (key: string) => this.get(key),
      put: (key: string, value: Uint8Array) => this.put(key, value),
    }
    const parts = { self, registry, pledges, clock: this }
    this.#prepared = new PreparedProofs({ ...parts, sightings: this.#sightings, open: openSealed })
    const counting = {
      count: async (round: RoundId, opening: Opening, closing: Closing) =>
        countIn(this.world, round, opening, closing),
    }
    this.#duties = new Duties({ ...parts, counting, log: silentLogger, onRefused: () => undefined })
    for (const id of this.#prepared.recall(DATASET, 0)) this.#rounds.follow(formatRoundId(id), id)
    for (const id of this.#sightings.signedBy(self, DATASET, 0)) this.#rounds.know(id)
    if (world.liars.has(self)) this.#pledges.clear()
  }

  #mayCrash(): void {
    const { weather, random } = this.world
    if (weather.crashes === undefined || !this.isHonest || random() >= weather.crashes / 2) return
    throw new Crash()
  }

  async #evaluate(): Promise<void> {
    const truth = this.certified() ?? { commit: null, height: 0, openedMs: 0, view: 0 }
    await this.#prepared.settle(DATASET, truth.height)
    const field = this.#field()
    let wakeMs = Number.POSITIVE_INFINITY
    for (const id of this.#rounds.live().sort(compareRounds)) {
      if (await this.#prepared.take(id, this.world.members)) this.#refresh(field, id)
      for (let look = 0; look < LOOKS_MAX; look += 1) {
        this.#examine(id)
        const situation = this.#situation(id, truth, field)
        const decision = nextActions(situation, this.peer, this.now())
        let changed = false
        for (const action of decision.actions) changed = (await this.act(action, situation)) || changed
        if (changed) {
          this.#refresh(field, id)
          continue
        }
        wakeMs = Math.min(wakeMs, decision.wakeMs ?? wakeMs)
        break
      }
      const status = this.status(id)
      const known = { certified: this.certified(), held: this.#held(), self: this.peer }
      if (status !== undefined && isOver(id, status, known, this.now())) {
        this.#rounds.rest(formatRoundId(id))
      }
      field.refresh(id)
    }
    this.#wakeAt(wakeMs)
  }

  #wakeAt(wakeMs: number): void {
    const isAwaited = this.#wakeMs !== undefined && this.#wakeMs > this.now() && this.#wakeMs <= wakeMs
    if (wakeMs === Number.POSITIVE_INFINITY || isAwaited) return
    this.#wakeMs = wakeMs
    this.world.at(wakeMs - this.#clockErrorMs, () => {
      this.#changed = true
      return this.evaluateIfChanged()
    })
  }

  #situation(id: RoundId, truth: Situation['truth'], field: Field): Situation {
    const wish = this.wishes.get(formatRoundId(id))
    const { standing } = field
    return {
      records: this.records(id),
      members: this.world.members,
      truth,
      certified: this.certified(),
      candidate: wish && { commit: wish.commit, tree: wish.tree },
      wish,
      rivals: field.rivalsOf(id),
      standing: this.world.unlocked ? unlocked(standing, id) : standing,
      shownMs: this.#sightings.own(formatRoundId(id), this.peer).shownMs ?? -1,
      latestMs: field.latestMs,
      outcomes: this.#duties.outcomes,
      held: this.#held(),
    }
  }

  #held() {
    const truth = this.get(truthKey(DATASET))
    const same = this.registry.claims(truthKey(DATASET)).filter((one) => one.value === truth?.value)
    return truth && { bringers: same.map(({ author }) => author), sinceMs: truth.timeMs }
  }

  #facts() {
    return factsOf({ certified: this.certified(), members: this.world.members })
  }

  #field(): Field {
    const seen = { records: (id: RoundId) => this.records(id), facts: this.#facts(), now: this.now() }
    const sinceMs = this.certified()?.openedMs ?? 0
    return new Field({ self: this.peer, rounds: this.#rounds, sightings: this.#sightings, sinceMs, ...seen })
  }

  #refresh(field: Field, id: RoundId): void {
    this.#looked.delete(formatRoundId(id))
    field.refresh(id)
  }

  /** A commit can be had from its member, or from any other that hears both. */
  #examine(id: RoundId): void {
    for (const ballot of this.records(id).ballots) {
      if (ballot.readyMs !== undefined) continue
      const here = this.world.commits.has(ballot.commit) && this.world.connected(this.peer, ballot.peer)
      if (!here) continue
      this.#sightings.examined(formatRoundId(id), ballot.peer, ballot, undefined)
      this.#looked.delete(formatRoundId(id))
    }
  }

  async #prove(entry: Entry): Promise<void> {
    const { key, value, author } = entry
    if (key.startsWith('/truth/')) {
      const current = this.registry.claims(key).find((claim) => claim.author === author)?.value
      if (this.registry.knows(entry)) return
      if ((await this.#refuse(key, value, { federationId: 'f', current, open: openSealed })) !== undefined)
        return
    }
    this.#take(entry)
  }

  #take(entry: Entry): void {
    if (OWN.test(entry.key) && !entry.key.endsWith(`/${entry.author}`)) return
    if (!this.registry.knows(entry)) this.#keep(entry)
  }

  #sign({ key, value }: Entry): void {
    const round = roundOfKey(key)
    const kind = key.startsWith('/votes/')
      ? 'vote'
      : key.startsWith('/confirmations/')
        ? 'confirmation'
        : undefined
    if (round === undefined || kind === undefined) return
    const word = parseValue(kind === 'vote' ? voteSchema : confirmationSchema, value)?.value
    if (word?.commit == null) return
    this.world.signed.push({ kind, round, peer: this.peer, ...word, commit: word.commit })
  }

  #keep(entry: Entry): void {
    this.registry.keep(entry)
    this.#changed = true
    const round = roundOfKey(entry.key)
    if (round !== undefined) {
      this.#looked.delete(round)
      if (entry.value.length > 0) this.#sightings.note(round, entry)
    }
    this.#hear(entry.key)
    if (entry.key.startsWith('/truth/')) this.#noteTruth()
  }

  /** What a record is a reason to look at. */
  #hear(key: string): void {
    const round = roundOfKey(key)
    if (round !== undefined && (key.endsWith('/opening') || key.startsWith(preparedPrefix)))
      this.#follow(round)
    else if (round !== undefined && this.#rounds.has(round)) this.#follow(round)
    if (!key.startsWith('/truth/')) return
    const height = this.certified()?.height ?? 0
    this.#rounds.revive((id) => this.#sightings.openings(id).some(({ value }) => value.height >= height))
  }

  #follow(round: string): void {
    const id = parseRoundId(round)
    if (id !== undefined) this.#rounds.follow(round, id)
  }

  #noteTruth(): void {
    const held = this.certified()
    if (held === undefined || this.truths.at(-1)?.commit === held.commit) return
    this.truths.push({ height: held.height, commit: held.commit })
  }
}
