/**
 * The rounds of one dataset on this node: looks at those that are under way whenever a record or the time changes them,
 * and does what decisions.ts says. Rounds of one dataset compete for one truth, so they are looked at together, one
 * after the other; datasets have nothing to do with each other.
 */
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { candidateRetryMs, roundTickMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { Method, TruthRule } from '../datasets/truth-rule.ts'
import { Adoption } from './adoption.ts'
import { candidateOf } from './candidate.ts'
import { rankOfRead } from './certificate.ts'
import type { Counting } from './counting.ts'
import { factsOf, holding, isToReopen, nextActions } from './decisions.ts'
import type { Duties } from './duties.ts'
import { eventOf, isOver, stateOf } from './endings.ts'
import type { Evidence } from './evidence.ts'
import { Field } from './field.ts'
import { FollowedRounds } from './followed-rounds.ts'
import type { GroundTruth } from './ground-truth.ts'
import { Inspection } from './inspection.ts'
import type { Truth } from './opening.ts'
import type { Situation } from './plan.ts'
import type { PreparedProofs } from './prepared-proofs.ts'
import type { Voter } from './quorum.ts'
import { ballotsOf, type CountedBallots } from './reports.ts'
import { eligibleBallots, projectRound, type RoundRecords, type RoundStatus } from './round.ts'
import { compareRounds, formatRoundId, parseRoundId, type RoundId } from './round-id.ts'
import type { Output } from './scheduled-outputs.ts'
import type { Sightings } from './sightings.ts'
import type { TermsOf } from './terms.ts'
import { type ConsensusEvent, type RoundView, roundView } from './views.ts'

export interface DatasetRoundsParts {
  readonly dataset: string
  readonly self: string
  readonly members: () => readonly Voter[]
  readonly nameOf: (peer: string) => string
  readonly sightings: Sightings
  readonly duties: Duties
  readonly counting: Counting
  readonly prepared: PreparedProofs
  readonly evidence: Pick<Evidence, 'of'>
  readonly truth: GroundTruth
  /** What the dataset asks of its rounds. */
  readonly terms: () => TermsOf
  readonly rule: (step: string) => TruthRule
  /** Gets ready what the terms look back on; fetched where it is not here until the signal is aborted. */
  readonly prepare: (fetch?: AbortSignal) => Promise<void>
  /** Whether this node copies the dataset. */
  readonly follows: () => boolean
  /** This node's present head of branch `<step>-<node>`. */
  readonly head: (step: string) => string | undefined
  readonly emit: (event: ConsensusEvent) => void
  readonly clock: Clock
  readonly log: Logger
  /** Aborted when the node stops. */
  readonly signal: AbortSignal
}

type ScheduledWish = Output & { readonly windowMs: number }

/** A round is looked at so often in one go at most: open, cast, close, count, vote, confirm, certify, and one to spare. */
const LOOKS_MAX = 8

export class DatasetRounds {
  readonly #parts: DatasetRoundsParts
  readonly #rounds = new FollowedRounds()
  readonly #wishes = new Map<string, ScheduledWish>()
  readonly #announced = new Map<string, string>()
  readonly #inspection: Inspection
  readonly #adoption: Adoption
  readonly #ending = new AbortController()
  readonly #signal: AbortSignal
  /** What kept the last look from its end, told once. */
  #complaint = ''
  #running: Promise<void> | undefined
  #dirty = false
  #timer: NodeJS.Timeout | undefined

  constructor(parts: DatasetRoundsParts) {
    this.#parts = parts
    this.#signal = AbortSignal.any([parts.signal, this.#ending.signal])
    const ending = { ...parts, signal: this.#signal }
    this.#inspection = new Inspection({ ...ending, onExamined: () => this.touch() })
    this.#adoption = new Adoption(ending)
    const { dataset, self, sightings, truth } = parts
    // Also where their openings are gone.
    for (const id of sightings.signedBy(self, dataset, truth.sinceMs(dataset))) this.#rounds.know(id)
    for (const id of parts.prepared.recall(dataset, truth.sinceMs(dataset))) {
      this.#rounds.follow(formatRoundId(id), id)
    }
  }

  /** An opening was heard of. `quiet` is for what this node knows from before it started. */
  add(round: string, opener: string, quiet = false): void {
    const id = parseRoundId(round)
    if (id === undefined) return
    const counted = opener === this.#parts.self ? undefined : opener
    if (!this.#rounds.follow(round, id, counted)) {
      this.#parts.log.debug({ round, opener }, 'too many rounds are under way; this one is not followed')
      return
    }
    const status = quiet ? this.#status(id) : undefined
    if (status !== undefined) this.#announced.set(round, stateOf(status, this.#certified()))
  }

  /** A record of a round came that is no opening: it is looked at once more, if it is known. */
  stir(round: string): void {
    const [id, opener] = [parseRoundId(round), this.#rounds.openerOf(round)]
    if (id !== undefined && this.#rounds.has(round)) this.#rounds.follow(round, id, opener)
    this.touch()
  }

  /** The opening of a round is gone. What this node has signed in it binds it all the same. */
  vanished(round: string): void {
    const { vote, confirmation } = this.#parts.sightings.own(round, this.#parts.self)
    if (vote === undefined && confirmation === undefined) this.#remove(round)
    else this.#rounds.rest(round)
  }

  #remove(round: string): void {
    const id = parseRoundId(round)
    if (id !== undefined) this.#parts.duties.forget(id, [])
    this.#rounds.remove(round)
    this.#wishes.delete(round)
    this.#announced.delete(round)
    this.#parts.sightings.forget(round)
  }

  /** This node's scheduled run made an output: cast it, and see to it that there is a round. */
  wish(output: Output, windowMs: number): void {
    const id = { dataset: output.dataset, step: output.step, slot: output.slot }
    const round = formatRoundId(id)
    if (this.#parts.clock.now() >= output.sinceMs + windowMs && !this.#rounds.has(round)) return
    this.#wishes.set(round, { ...output, windowMs })
    this.#rounds.follow(round, id)
    this.touch()
  }

  /** A commit came by itself: ballots that wait for a fetch of it may be looked into. */
  arrived(commit: string): void {
    for (const id of this.#rounds.live()) {
      if (this.#takesPart(id)) this.#inspection.arrived(this.#records(id), this.#methodOf(id), commit)
    }
    this.touch()
  }

  /** The truth or the members have changed: every round that competes with the truth, or may follow it, is looked at. */
  revisit(): void {
    const height = this.#certified()?.height ?? 0
    const { sightings } = this.#parts
    this.#rounds.revive((id) => sightings.openings(id).some(({ value }) => value.height >= height))
    this.touch()
  }

  views(): RoundView[] {
    const ids = this.#rounds
      .known()
      .map(([, id]) => id)
      .sort(compareRounds)
    return ids.map((id) => this.view(id)).filter((view) => view !== undefined)
  }

  view(id: RoundId): RoundView | undefined {
    if (!this.#rounds.has(formatRoundId(id))) return undefined
    const { clock, nameOf, evidence } = this.#parts
    return roundView(this.#records(id), this.#facts(), clock.now(), nameOf, evidence.of(formatRoundId(id)))
  }

  /** The ballots that the round's closing counts, or those that one could count now; undefined while nobody opened it. */
  counted(id: RoundId): CountedBallots | undefined {
    const [records, status] = [this.#records(id), this.#status(id)]
    if (status === undefined) return undefined
    const opening = status.opening.value
    const closed = status.closing?.value.ballots
    const ballots = closed === undefined ? eligibleBallots(records, opening) : new Map(Object.entries(closed))
    return { opening, ballots: ballotsOf(ballots), provisional: closed === undefined }
  }

  /** When the latest round of the dataset was opened, ms; 0 when there is none. */
  latestMs(): number {
    return this.#field().latestMs
  }

  /** A round that another one has to wait for. */
  underWay(): RoundId | undefined {
    return holding(this.#field().rivals(), this.#parts.clock.now())[0]?.id
  }

  /** Looks at everything again, soon; any number of calls make one look. */
  touch(): void {
    this.#dirty = true
    if (this.#running !== undefined || this.#signal.aborted) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      // Something may have changed after the last look and before this line.
      if (this.#dirty) this.touch()
    })
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    clearTimeout(this.#timer)
    await this.#running
    await this.#adoption.idle()
  }

  /** Ends, and forgets all that was seen: the dataset is no more. */
  async discard(): Promise<void> {
    await this.stop()
    for (const [round] of this.#rounds.known()) this.#remove(round)
  }

  async #run(): Promise<void> {
    // What changes together arrives together: one look at the end of the turn sees all of it.
    await new Promise((resolve) => setImmediate(resolve))
    let wakeMs: number | undefined
    while (this.#dirty && !this.#signal.aborted) {
      this.#dirty = false
      try {
        wakeMs = await this.#evaluate()
      } catch (error) {
        this.#complain(error)
        wakeMs = this.#parts.clock.now() + candidateRetryMs
      }
    }
    this.#sleep(wakeMs)
  }

  #sleep(wakeMs: number | undefined): void {
    clearTimeout(this.#timer)
    if (this.#signal.aborted || (this.#rounds.isEmpty && wakeMs === undefined)) return
    const now = this.#parts.clock.now()
    const restMs = Math.min(roundTickMs, Math.max(1, (wakeMs ?? Number.MAX_SAFE_INTEGER) - now))
    this.#timer = setTimeout(() => this.touch(), restMs)
    this.#timer.unref()
  }

  /** @returns when to look again if nothing changes. */
  async #evaluate(): Promise<number | undefined> {
    this.#adoption.begin()
    const live = this.#rounds.live()
    await this.#parts.prepare(live.length > 0 ? this.#signal : undefined)
    if (live.length === 0) return undefined
    const { dataset, prepared } = this.#parts
    const truth = await this.#parts.truth.truth(dataset)
    await prepared.settle(dataset, truth.height)
    const wakes: number[] = []
    const field = this.#field()
    for (const id of live.sort(compareRounds)) {
      try {
        const wakeMs = await this.#attend(id, truth, field)
        if (wakeMs !== undefined) wakes.push(wakeMs)
      } catch (error) {
        // What one round cannot do now must not keep the others from their turn.
        this.#complain(error)
        wakes.push(this.#parts.clock.now() + candidateRetryMs)
      }
      field.refresh(id)
    }
    return wakes.length === 0 ? undefined : Math.min(...wakes)
  }

  #complain(error: unknown): void {
    const { log, dataset } = this.#parts
    const message = messageOf(error)
    if (message !== this.#complaint) log.warn({ dataset, error: message }, 'a dataset’s rounds have to wait')
    this.#complaint = message
  }

  async #attend(id: RoundId, truth: Truth, field: Field): Promise<number | undefined> {
    const { duties, self, clock, prepared, members } = this.#parts
    if (await prepared.take(id, members())) field.refresh(id)
    for (let look = 0; look < LOOKS_MAX && !this.#signal.aborted; look += 1) {
      const situation = await this.#situation(id, truth, field)
      if (this.#takesPart(id)) this.#inspection.begin(situation.records, this.#methodOf(id))
      const { actions, wakeMs } = nextActions(situation, self, clock.now())
      let changed = false
      for (const action of actions)
        changed = (await duties.perform(action, situation, this.#signal)) || changed
      if (changed) {
        // What this node signs binds it at once.
        field.refresh(id)
        continue
      }
      this.#settle(id, situation)
      return wakeMs
    }
    return undefined
  }

  /** Nothing is fetched for a round whose opening is out of order; nor, of what nobody here wants, without a vote. */
  #takesPart(id: RoundId): boolean {
    const { self, follows } = this.#parts
    const status = this.#status(id)
    if (status === undefined || status.refusal !== undefined) return status === undefined
    const votes = status.state !== 'decided' && status.opening.value.electorate.includes(self)
    return votes || follows()
  }

  async #situation(id: RoundId, truth: Truth, field: Field): Promise<Situation> {
    const { members, duties, sightings, self } = this.#parts
    const wish = this.#wishes.get(formatRoundId(id))
    const records = this.#records(id)
    return {
      records,
      members: members(),
      terms: this.#parts.terms(),
      truth,
      certified: this.#certified(),
      candidate: await candidateOf(records, wish, this.#rule(id), this.#parts),
      wish,
      rivals: field.rivalsOf(id),
      standing: field.standing,
      shownMs: sightings.own(formatRoundId(id), self).shownMs ?? -1,
      latestMs: field.latestMs,
      outcomes: duties.outcomes,
      held: this.#parts.truth.held(this.#parts.dataset),
    }
  }

  /** Ballots are looked into as they will be counted; before the round is opened, as the rule has it. */
  #methodOf(id: RoundId): Method {
    const status = this.#status(id)
    return status === undefined || status.refusal !== undefined
      ? this.#rule(id).method
      : status.opening.value.method
  }

  #rule({ step }: RoundId): TruthRule {
    return this.#parts.rule(step)
  }

  #field(): Field {
    const { self, sightings, clock } = this.#parts
    const records = (id: RoundId) => this.#records(id)
    const sinceMs = this.#parts.truth.sinceMs(this.#parts.dataset)
    const seen = { records, facts: this.#facts(), sinceMs, now: clock.now() }
    return new Field({ self, sightings, rounds: this.#rounds, ...seen })
  }

  /** Says what has become of a round, and stops following it when nothing can change it any more. */
  #settle(id: RoundId, { records, wish }: Situation): void {
    const { dataset, emit, duties, clock, truth, self } = this.#parts
    const round = formatRoundId(id)
    const status = this.#status(id)
    const wished = wish !== undefined && clock.now() < wish.sinceMs + wish.windowMs
    if (status === undefined) {
      if (!wished) this.vanished(round)
      return
    }
    const state = stateOf(status, this.#certified())
    // Of a false opening the refusal was told; that it would have ended somehow is no news.
    if (status.refusal === undefined && this.#announced.get(round) !== state) {
      this.#announced.set(round, state)
      emit({ dataset, round, ...eventOf(status, this.#certified()) })
    }
    const held = truth.held(dataset)
    if (!isOver(id, status, { certified: this.#certified(), held, self }, clock.now())) return
    if (wished && (status.refusal !== undefined || isToReopen(status, wish, clock.now()))) return
    this.#rounds.rest(round)
    this.#wishes.delete(round)
    // A false opening is looked at again whenever members change, and told once all the same.
    if (status.refusal === undefined) duties.forget(id, records.closings)
  }

  #records(id: RoundId): RoundRecords {
    const peers = this.#parts.members().map(({ peer }) => peer)
    return this.#parts.sightings.records(id, peers)
  }

  #status(id: RoundId): RoundStatus | undefined {
    return projectRound(this.#records(id), this.#facts(), this.#parts.clock.now())
  }

  #facts() {
    const { members, terms } = this.#parts
    return factsOf({ certified: this.#certified(), members: members(), terms: terms() })
  }

  #certified() {
    const read = this.#parts.truth.certified(this.#parts.dataset)
    return read && rankOfRead(read)
  }
}
