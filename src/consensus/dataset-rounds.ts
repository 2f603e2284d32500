/**
 * The rounds of one dataset on this node: looks at those that are under way whenever a record or the time changes them,
 * and does what decisions.ts says. Rounds of one dataset compete for one truth, so they are looked at together, one
 * after the other; datasets have nothing to do with each other.
 */
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import {
  candidateRetryMs,
  clockSkewMaxMs,
  openRoundsMax,
  roundLifeMaxMs,
  roundTickMs,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { compareRanks, rankOfRead } from './certificate.ts'
import type { Counting } from './counting.ts'
import { factsOf, holding, nextActions, type Rival, rivalOf, type Situation } from './decisions.ts'
import type { Duties } from './duties.ts'
import type { GroundTruth } from './ground-truth.ts'
import { Inspection } from './inspection.ts'
import type { Truth } from './opening.ts'
import type { Voter } from './quorum.ts'
import type { Ballot } from './records.ts'
import { projectRound, type RoundRecords, type RoundStatus } from './round.ts'
import { compareRounds, formatRoundId, parseRoundId, type RoundId } from './round-id.ts'
import type { Output } from './scheduled-outputs.ts'
import type { Sightings } from './sightings.ts'
import { type ConsensusEvent, type RoundView, roundView } from './views.ts'

export interface DatasetRoundsParts {
  readonly dataset: string
  readonly self: string
  readonly members: () => readonly Voter[]
  readonly nameOf: (peer: string) => string
  readonly sightings: Sightings
  readonly duties: Duties
  readonly counting: Counting
  readonly truth: GroundTruth
  /** This node's present head of branch `<step>-<node>`. */
  readonly head: (step: string) => string | undefined
  readonly emit: (event: ConsensusEvent) => void
  readonly clock: Clock
  readonly log: Logger
  /** Aborted when the node stops. */
  readonly signal: AbortSignal
}

type ScheduledWish = Output & { readonly windowMs: number }

/** A round is looked at so often in one go at most: open, cast, close, count, vote, certify, and one to spare. */
const LOOKS_MAX = 7

export class DatasetRounds {
  readonly #parts: DatasetRoundsParts
  readonly #rounds = new Map<string, RoundId>()
  /** Rounds that may still change, by id. */
  readonly #live = new Set<string>()
  readonly #wishes = new Map<string, ScheduledWish>()
  readonly #announced = new Map<string, string>()
  readonly #inspection: Inspection
  #adopting = false
  /** What kept the last look from its end, told once. */
  #complaint = ''
  #running: Promise<void> | undefined
  #dirty = false
  #timer: NodeJS.Timeout | undefined

  constructor(parts: DatasetRoundsParts) {
    this.#parts = parts
    this.#inspection = new Inspection({ ...parts, onExamined: () => this.touch() })
  }

  /** A round was heard of. `quiet` is for those that this node knows from before it started. */
  add(round: string, quiet = false): void {
    const id = parseRoundId(round)
    if (id === undefined) return
    if (!this.#live.has(round) && this.#live.size >= openRoundsMax) {
      this.#parts.log.warn({ round }, 'too many rounds are under way; this one is not followed')
      return
    }
    this.#rounds.set(round, id)
    this.#live.add(round)
    const status = quiet ? this.#status(id) : undefined
    if (status !== undefined) this.#announced.set(round, this.#stateOf(status))
  }

  knows(round: string): boolean {
    return this.#rounds.has(round)
  }

  /** The records of a round are gone. */
  remove(round: string): void {
    this.#rounds.delete(round)
    this.#live.delete(round)
    this.#announced.delete(round)
    this.#parts.sightings.forget(round)
  }

  /** This node's scheduled run made an output: cast it, and see to it that there is a round. */
  wish(output: Output, windowMs: number): void {
    const id = { dataset: output.dataset, step: output.step, slot: output.slot }
    const round = formatRoundId(id)
    if (this.#parts.clock.now() >= output.sinceMs + windowMs && !this.#rounds.has(round)) return
    this.#wishes.set(round, { ...output, windowMs })
    this.#rounds.set(round, id)
    this.#live.add(round)
    this.touch()
  }

  /** Commits came by themselves: ballots that wait for a fetch, or for its next attempt, may be looked into. */
  arrived(): void {
    for (const round of this.#live) {
      const id = this.#rounds.get(round)
      if (id !== undefined) this.#inspection.arrived(this.#records(id))
    }
    this.touch()
  }

  /** The truth has moved: every round that builds on it or lost to it is looked at again. */
  revisit(): void {
    for (const round of this.#rounds.keys()) this.#live.add(round)
    this.touch()
  }

  views(): RoundView[] {
    const ids = [...this.#rounds.values()].sort(compareRounds)
    return ids.map((id) => this.view(id)).filter((view) => view !== undefined)
  }

  view(id: RoundId): RoundView | undefined {
    if (!this.#rounds.has(formatRoundId(id))) return undefined
    const { clock, nameOf } = this.#parts
    return roundView(this.#records(id), this.#facts(), clock.now(), nameOf)
  }

  /** When the latest round of the dataset was opened, ms; 0 when there is none. */
  latestMs(): number {
    return this.#openedMs(() => true)
  }

  /** A round that another one has to wait for. */
  underWay(): RoundId | undefined {
    return holding(this.#rivals(), this.#parts.clock.now())[0]?.id
  }

  /** Looks at everything again, soon; any number of calls make one look. */
  touch(): void {
    this.#dirty = true
    if (this.#running !== undefined || this.#parts.signal.aborted) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      // Something may have changed after the last look and before this line.
      if (this.#dirty) this.touch()
    })
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#parts
    // What changes together arrives together: one look at the end of the turn sees all of it.
    await new Promise((resolve) => setImmediate(resolve))
    let wakeMs: number | undefined
    while (this.#dirty && !signal.aborted) {
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
    if (this.#parts.signal.aborted || (this.#live.size === 0 && wakeMs === undefined)) return
    const now = this.#parts.clock.now()
    const restMs = Math.min(roundTickMs, Math.max(1, (wakeMs ?? Number.MAX_SAFE_INTEGER) - now))
    this.#timer = setTimeout(() => this.touch(), restMs)
    this.#timer.unref()
  }

  /** @returns when to look again if nothing changes. */
  async #evaluate(): Promise<number | undefined> {
    this.#adopt()
    const live = [...this.#live].map((round) => this.#rounds.get(round)).filter((id) => id !== undefined)
    if (live.length === 0) return undefined
    const truth = await this.#parts.truth.truth(this.#parts.dataset)
    const wakes: number[] = []
    for (const id of live.sort(compareRounds)) {
      try {
        const wakeMs = await this.#attend(id, truth)
        if (wakeMs !== undefined) wakes.push(wakeMs)
      } catch (error) {
        // What one round cannot do now must not keep the others from their turn.
        this.#complain(error)
        wakes.push(this.#parts.clock.now() + candidateRetryMs)
      }
    }
    return wakes.length === 0 ? undefined : Math.min(...wakes)
  }

  #complain(error: unknown): void {
    const { log, dataset } = this.#parts
    const message = messageOf(error)
    if (message !== this.#complaint) log.warn({ dataset, error: message }, 'a dataset’s rounds have to wait')
    this.#complaint = message
  }

  async #attend(id: RoundId, truth: Truth): Promise<number | undefined> {
    const { duties, self, clock, signal } = this.#parts
    for (let look = 0; look < LOOKS_MAX && !signal.aborted; look += 1) {
      const situation = await this.#situation(id, truth)
      this.#inspect(situation.records)
      const { actions, wakeMs } = nextActions(situation, self, clock.now())
      let changed = false
      for (const action of actions) changed = (await duties.perform(action, situation, signal)) || changed
      if (changed) continue
      this.#settle(id, situation)
      return wakeMs
    }
    return undefined
  }

  /** Nothing is fetched for a round that this node takes no part in. */
  #inspect(records: RoundRecords): void {
    if (this.#status(records.id)?.refusal === undefined) this.#inspection.begin(records)
  }

  async #situation(id: RoundId, truth: Truth): Promise<Situation> {
    const { members, duties } = this.#parts
    const wish = this.#wishes.get(formatRoundId(id))
    const records = this.#records(id)
    return {
      records,
      members: members(),
      truth,
      certified: this.#certified(),
      candidate: await this.#candidate(records, wish),
      wish,
      rivals: this.#rivals(id),
      signedMs: this.#openedMs(([round]) => this.#parts.sightings.hasVoted(round, this.#parts.self)),
      latestMs: this.latestMs(),
      outcomes: duties.outcomes,
    }
  }

  /** What this node would cast, if it has not cast yet. */
  async #candidate({ id, openings, ballots }: RoundRecords, wish: ScheduledWish | undefined) {
    const { self, head, truth } = this.#parts
    if (ballots.some(({ peer }) => peer === self)) return undefined
    const requested = openings.some(({ value }) => value.trigger === 'request')
    const commit = wish?.commit ?? (requested ? head(id.step) : undefined)
    if (commit === undefined) return undefined
    return { commit, tree: await truth.treeOf(id.dataset, commit) } satisfies Ballot
  }

  /** The latest time at which one of these rounds was opened; what a liar dates into the future does not count. */
  #openedMs(among: (round: [string, RoundId]) => boolean): number {
    const believedMs = this.#parts.clock.now() + clockSkewMaxMs
    const openings = [...this.#rounds].filter(among).flatMap(([, id]) => this.#parts.sightings.openings(id))
    const times = openings.map(({ value }) => value.openedMs).filter((openedMs) => openedMs <= believedMs)
    return Math.max(0, ...times)
  }

  /** The rounds under way, but for the one that looks at them. */
  #rivals(id?: RoundId): Rival[] {
    const [facts, now] = [this.#facts(), this.#parts.clock.now()]
    const rivals: Rival[] = []
    for (const round of this.#live) {
      const other = this.#rounds.get(round)
      if (other === undefined || (id !== undefined && compareRounds(other, id) === 0)) continue
      const records = this.#records(other)
      const status = projectRound(records, facts, now)
      if (status !== undefined) rivals.push(rivalOf(records, status, facts, this.#parts.self))
    }
    return rivals
  }

  /** Lets `ground-truth` follow the certificate, in the background. */
  #adopt(): void {
    if (this.#adopting || this.#parts.truth.isAdopted(this.#parts.dataset)) return
    this.#adopting = true
    void this.#follow().finally(() => {
      this.#adopting = false
    })
  }

  async #follow(): Promise<void> {
    const { truth, dataset, emit, signal, log } = this.#parts
    const certificate = truth.certified(dataset)?.certificate
    try {
      if ((await truth.adopt(dataset, signal)) && certificate !== undefined) {
        emit({ type: 'adopted', dataset, round: certificate.round, commit: certificate.commit })
      }
    } catch (error) {
      if (signal.aborted) return
      log.warn({ dataset, error: messageOf(error) }, 'the certified truth cannot be had yet')
      setTimeout(() => this.touch(), candidateRetryMs).unref()
    }
  }

  /** Says what has become of a round, and stops following it when nothing can change it any more. */
  #settle(id: RoundId, { records, wish }: Situation): void {
    const { dataset, emit, duties, clock } = this.#parts
    const round = formatRoundId(id)
    const status = this.#status(id)
    const wished = wish !== undefined && clock.now() < wish.sinceMs + wish.windowMs
    if (status === undefined) {
      if (!wished) this.#drop(round)
      return
    }
    const state = this.#stateOf(status)
    // Of a false opening the refusal was told; that it would have ended somehow is no news.
    if (status.refusal === undefined && this.#announced.get(round) !== state) {
      this.#announced.set(round, state)
      emit({ dataset, round, ...this.#eventOf(status) })
    }
    if (!this.#isOver(id, status) || (status.refusal !== undefined && wished)) return
    this.#live.delete(round)
    this.#wishes.delete(round)
    duties.forget(id, records.closings)
  }

  #eventOf(status: RoundStatus) {
    const { state, reason, commit = '' } = status
    if (state === 'undecided') return { type: 'undecided', reason: reason ?? '' } as const
    if (state === 'decided') return { type: this.#hasLost(status) ? 'conflict' : 'decided', commit } as const
    return { type: state === 'open' ? 'opened' : 'closed' } as const
  }

  /** A decided round that lost to another one of its height is told anew. */
  #stateOf(status: RoundStatus): string {
    return `${status.state} ${status.reason ?? ''} ${status.commit ?? ''} ${this.#hasLost(status)}`
  }

  #hasLost({ state, opening, commit }: RoundStatus): boolean {
    const certified = this.#certified()
    if (state !== 'decided' || certified === undefined) return false
    return certified.height === opening.value.height && certified.commit !== commit
  }

  #isOver(id: RoundId, { state, reason, refusal, opening, commit }: RoundStatus): boolean {
    const [now, { votesUntilMs }] = [this.#parts.clock.now(), opening.value]
    // What is refused now may be in order once more members are known, or our clock has caught up.
    if (refusal !== undefined)
      return now >= votesUntilMs || votesUntilMs > now + roundLifeMaxMs + clockSkewMaxMs
    if (state === 'decided') {
      const certified = this.#certified()
      const { openedMs, height } = opening.value
      const rank = { openedMs, height, round: id, commit: commit ?? '' }
      return certified !== undefined && compareRanks(certified, rank) >= 0
    }
    if (state !== 'undecided') return false
    return reason === 'superseded' || now >= votesUntilMs
  }

  #drop(round: string): void {
    this.#wishes.delete(round)
    this.#live.delete(round)
    this.#rounds.delete(round)
  }

  #records(id: RoundId): RoundRecords {
    const peers = this.#parts.members().map(({ peer }) => peer)
    return this.#parts.sightings.records(id, peers)
  }

  #status(id: RoundId): RoundStatus | undefined {
    return projectRound(this.#records(id), this.#facts(), this.#parts.clock.now())
  }

  #facts() {
    return factsOf({ certified: this.#certified(), members: this.#parts.members() })
  }

  #certified() {
    const read = this.#parts.truth.certified(this.#parts.dataset)
    return read && rankOfRead(read)
  }
}
