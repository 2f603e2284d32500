import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import {
  claimRenewals,
  claimWaits,
  missedRunMaxMs,
  openSlotsMax,
  schedulerSleepMaxMs,
} from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { Collection } from '../../registry/collection.ts'
import { identityOf } from '../runs/run.ts'
import type { RunStore } from '../runs/run-store.ts'
import {
  type Claim,
  claimLifeMs,
  claimName,
  claimOf,
  isSettled,
  isVacated,
  parseClaimName,
  type SlotName,
} from './claim.ts'
import { type Decision, decide, type HeardClaim, sinceFor } from './claims.ts'
import type { Ledger } from './ledger.ts'
import { runnersOf, type Schedule, termsOf } from './schedule.ts'
import { decideShared, type SharedWork, type Sharing } from './shared-work.ts'
import type { SlotRuns } from './slot-runs.ts'
import { jitterOf, nextSlot } from './slots.ts'
import { WakeLoop } from './wake-loop.ts'

export interface ClaimedSlotsParts {
  readonly schedules: Pick<Collection<Schedule>, 'get'>
  readonly claims: Pick<Collection<Claim>, 'list' | 'put' | 'watch'>
  readonly ledger: Pick<Ledger, 'list' | 'close'>
  readonly runs: Pick<SlotRuns, 'find' | 'begin' | 'identity' | 'sharing' | 'skip' | 'spare' | 'note'>
  readonly store: Pick<RunStore, 'onRun'>
  /** The members that are there now, as far as this node knows. */
  readonly live: () => readonly string[]
  /** A member's name, for people. */
  readonly nameOf: (peer: string) => string
  /** This node's peer id. */
  readonly self: string
  readonly clock: Clock
  readonly log: Logger
}

type Turn = Extract<Decision, { act: 'run' }>

/** A slot that is followed. */
interface Open extends SlotName {
  /** When this node first looked at it. */
  readonly lookedMs: number
  /** What was heard of each claimant, and when, by this node's clock. */
  readonly heard: Map<string, { revision: number; heardMs: number }>
  /** What this node said last. */
  said?: Claim | undefined
  /** Whose result of it is enough, where every member would run it. */
  work?: SharedWork | 'everybody'
  /** It was noted that others run it. */
  spared?: boolean
}

/**
 * Sees to the slots that one member, or so many, run for the federation: claims.ts says what to do, this does it. While
 * its own run is at work, the node renews its claim three times in the time after which the others would take over.
 */
export class ClaimedSlots implements Startable {
  readonly #parts: ClaimedSlotsParts
  readonly #loop: WakeLoop
  readonly #open = new Map<string, Open>()
  #unwatch: (() => void)[] = []

  constructor(parts: ClaimedSlotsParts) {
    this.#parts = parts
    this.#loop = new WakeLoop({
      look: () => this.#look(),
      sleepMaxMs: schedulerSleepMaxMs,
      onError: (error) => parts.log.error({ error }, 'the claimed slots were not looked at'),
    })
  }

  /** Takes up the slots that were followed before. The ledger is loaded. */
  async start(): Promise<void> {
    if (this.#unwatch.length > 0) return
    const { claims, ledger, store } = this.#parts
    for (const [pipeline, { open }] of ledger.list()) {
      for (const slot of open) this.follow({ pipeline, slot })
    }
    this.#unwatch = [
      claims.watch((name) => {
        const claimed = parseClaimName(name)
        if (claimed !== undefined && this.#open.has(keyOf(claimed))) this.#loop.wake()
      }),
      store.onRun(({ pipeline, slot }) => {
        if (this.#open.has(keyOf({ pipeline, slot }))) this.#loop.wake()
      }),
    ]
    this.#loop.start()
  }

  async stop(): Promise<void> {
    for (const unwatch of this.#unwatch.splice(0)) unwatch()
    await this.#loop.stop()
    this.#open.clear()
  }

  /** Sees to it that the slot is run; one that is followed already is looked at. */
  follow({ pipeline, slot }: SlotName): void {
    const key = keyOf({ pipeline, slot })
    const open = { pipeline, slot, lookedMs: this.#parts.clock.now(), heard: new Map() }
    if (!this.#open.has(key)) this.#open.set(key, open)
    const ofPipeline = [...this.#open.values()].filter((each) => each.pipeline === pipeline)
    const excess = ofPipeline.sort((a, b) => a.slot - b.slot).slice(0, -openSlotsMax)
    for (const oldest of excess) this.#open.delete(keyOf(oldest))
    this.#loop.wake()
  }

  async #look(): Promise<number> {
    const { clock, log } = this.#parts
    let wakeMs = Number.POSITIVE_INFINITY
    // An earlier slot first, so that a later one sees what became of it.
    for (const open of [...this.#open.values()].sort((a, b) => a.slot - b.slot)) {
      try {
        wakeMs = Math.min(wakeMs, await this.#attend(open))
      } catch (error) {
        const { pipeline, slot } = open
        log.error({ pipeline, slot, error: messageOf(error) }, 'a claimed slot was not seen to')
        wakeMs = Math.min(wakeMs, clock.now() + RETRY_MS)
      }
    }
    return wakeMs - clock.now()
  }

  /** @returns when to look again, ms since the epoch. */
  async #attend(open: Open): Promise<number> {
    const schedule = this.#parts.schedules.get(open.pipeline)?.value
    const claims = this.#claims(open)
    const own = claims.get(this.#parts.self)
    const atWork = own !== undefined && !isSettled(own) && !isVacated(own)
    const stale = this.#parts.clock.now() - open.slot > missedRunMaxMs
    if (schedule === undefined) return this.#close(open)
    if (!atWork && termsOf(schedule).paused) return this.#close(open)
    const work = runnersOf(schedule) === undefined ? await this.#work(open, schedule) : undefined
    if (work === 'unknown') return this.#parts.clock.now() + RETRY_MS
    if (work === 'everybody') return this.#runForItself(open, schedule)
    const runners = runnersOf(schedule) ?? 1
    if (!atWork && stale) {
      const reason = 'fewer members than wanted could run it within 18 hours'
      if (settledIn(claims) < runners)
        await this.#parts.runs.note(open.pipeline, { slot: open.slot, kind: 'missed', reason })
      return this.#close(open)
    }
    const renewalMs = await this.#renew(open, schedule)
    const heard = this.#claims(open)
    const decision = work
      ? this.#decideShared(open, schedule, work, heard)
      : this.#decide(open, schedule, runners, heard)
    switch (decision.act) {
      case 'run':
        return this.#run(open, schedule, decision)
      case 'withdraw':
        await this.#say(open, schedule, { state: 'failed', end: 'lost' })
        return this.#close(open)
      case 'wait':
        if (work !== undefined) await this.#spare(open, work)
        return Math.min(decision.untilMs ?? Number.POSITIVE_INFINITY, renewalMs)
      case 'nothing':
        if (work !== undefined) await this.#spare(open, work)
        return this.#close(open)
    }
  }

  #decide(
    open: Open,
    schedule: Schedule,
    runners: number,
    claims: ReadonlyMap<string, HeardClaim>,
  ): Decision {
    const { self, live, runs, clock } = this.#parts
    const { takeOverMs } = termsOf(schedule)
    const { pipeline, slot, lookedMs } = open
    const dueMs = slot + jitterOf(schedule, slot, '')
    return decide({
      slot: { pipeline, slot },
      sinceMs: sinceFor({ dueMs, lookedMs, takeOverMs }),
      live: live(),
      begun: runs.find(pipeline, slot) !== undefined,
      nowMs: clock.now(),
      ...{ runners, takeOverMs, claims, self },
    })
  }

  /** Whose result of the slot is enough, as it was when it was first known: it is one slot for one line of members. */
  async #work(open: Open, schedule: Schedule): Promise<Sharing> {
    if (open.work !== undefined) return open.work
    const { runs, clock } = this.#parts
    const work = await runs.sharing(schedule, open.slot)
    // Whoever does not get to know it does what it would do by itself.
    const patient = clock.now() < open.lookedMs + termsOf(schedule).takeOverMs
    if (work === 'unknown' && patient) return work
    open.work = work === 'unknown' ? 'everybody' : work
    return open.work
  }

  #decideShared(
    open: Open,
    schedule: Schedule,
    work: SharedWork,
    claims: ReadonlyMap<string, HeardClaim>,
  ): Decision {
    const { self, live, runs, clock } = this.#parts
    const { pipeline, slot, lookedMs } = open
    const { takeOverMs } = work
    // Each member waits for its own jitter; all know that of the first in line.
    const dueMs = slot + jitterOf(schedule, slot, work.workers[0] ?? '')
    const sinceMs = sinceFor({ dueMs, lookedMs, takeOverMs })
    const begun = runs.find(pipeline, slot) !== undefined
    const gapMs = (nextSlot(schedule, slot) ?? slot) - slot
    const patienceMs = sinceMs + Math.max(claimWaits * takeOverMs, gapMs / 2)
    const seen = { sinceMs, patienceMs, live: live(), claims, begun, nowMs: clock.now() }
    return decideShared({ work, self, ...seen })
  }

  async #runForItself(open: Open, schedule: Schedule): Promise<number> {
    const { runs } = this.#parts
    if (runs.find(open.pipeline, open.slot) === undefined) await runs.begin(schedule, open.slot)
    return this.#close(open)
  }

  /** Says once that this node leaves the slot to others. */
  async #spare(open: Open, { workers }: SharedWork): Promise<void> {
    const { runs, live, nameOf, self } = this.#parts
    const first = workers.find((peer) => peer === self || live().includes(peer))
    if (first === self || open.spared === true) return
    if (runs.find(open.pipeline, open.slot) !== undefined) return
    open.spared = true
    const reason = `${nameOf(first ?? '')} runs it for all: its last results agreed with what was decided`
    await runs.spare(open.pipeline, { slot: open.slot, reason })
  }

  /** The claim comes first: whoever crashes behind it is taken over. */
  async #run(open: Open, schedule: Schedule, { heirs, why }: Turn): Promise<number> {
    const { runs, nameOf, clock, log } = this.#parts
    const { pipeline, slot } = open
    const alone = runnersOf(schedule) !== undefined
    const busy = alone && termsOf(schedule).overlap === 'skip' ? this.#busyBefore(open, schedule) : undefined
    if (busy !== undefined) {
      const reason = `${nameOf(busy)} is still at work on a slot before it`
      await runs.skip(schedule, slot, reason)
      await this.#say(open, schedule, { state: 'failed', end: 'skipped' })
      return this.#close(open)
    }
    // Said once: where nothing can be begun, the others are not to be kept waiting by renewals.
    if (open.said === undefined) await this.#say(open, schedule, { state: 'claimed' })
    log.info({ pipeline, slot, why }, 'this node runs a slot for the federation')
    // A member with a long queue gives the slot on; the last one that can run it waits as long as it takes.
    const waitMsMax = claimWaits * termsOf(schedule).takeOverMs
    const run = await runs.begin(schedule, slot, heirs > 0 ? { waitMsMax } : {})
    if (run === undefined) {
      await this.#say(open, schedule, { state: 'failed', end: 'skipped' })
      return this.#close(open)
    }
    return clock.now()
  }

  /** Says what became of the own run, and that it is at work still. @returns when to say so again. */
  async #renew(open: Open, schedule: Schedule): Promise<number> {
    const { runs, clock } = this.#parts
    const run = runs.find(open.pipeline, open.slot)
    if (run === undefined) return Number.POSITIVE_INFINITY
    const nowMs = clock.now()
    const { takeOverMs } = typeof open.work === 'object' ? open.work : termsOf(schedule)
    const everyMs = takeOverMs / claimRenewals
    const claim = claimOf(run, '', nowMs)
    const { said } = open
    const news = said?.state !== claim.state || said.end !== claim.end || said.run !== claim.run
    const renews = said === undefined || nowMs - said.timeMs >= everyMs || said.timeMs > nowMs
    const over = claim.state === 'done' || claim.state === 'failed'
    if (news || (renews && !over)) await this.#say(open, schedule, claim)
    return over ? Number.POSITIVE_INFINITY : nowMs + everyMs
  }

  async #say(open: Open, schedule: Schedule, claim: Omit<Claim, 'timeMs' | 'identity'>): Promise<void> {
    const { claims, runs, self, clock } = this.#parts
    const timeMs = clock.now()
    const run = claim.run === undefined ? undefined : runs.find(open.pipeline, open.slot)
    // What the run was begun with, whatever the pipeline says by now.
    const identity = run === undefined ? undefined : identityOf(run)
    const said: Claim = { ...claim, identity: identity ?? runs.identity(schedule, open.slot), timeMs }
    const expiresMs = timeMs + claimLifeMs(schedule, open.slot)
    await claims.put(claimName(open, self), said, { expiresMs })
    open.said = said
  }

  /** Another member that is at work on an earlier slot of the schedule. */
  #busyBefore({ pipeline, slot }: Open, schedule: Schedule): string | undefined {
    const { self, live, clock } = this.#parts
    const { takeOverMs } = termsOf(schedule)
    for (const earlier of this.#open.values()) {
      if (earlier.pipeline !== pipeline || earlier.slot >= slot) continue
      for (const [peer, claim] of this.#claims(earlier)) {
        const ended = isSettled(claim) || isVacated(claim)
        const heard = clock.now() < claim.heardMs + takeOverMs && live().includes(peer)
        if (peer !== self && !ended && heard) return peer
      }
    }
    return undefined
  }

  #claims(open: Open): Map<string, HeardClaim> {
    const { claims, clock } = this.#parts
    const found = new Map<string, HeardClaim>()
    for (const { name, value, entry } of claims.list(`${open.pipeline}/${open.slot}/`)) {
      const peer = parseClaimName(name)?.peer
      if (peer === undefined) continue
      const before = open.heard.get(peer)
      const heard =
        before?.revision === entry.revision ? before : { revision: entry.revision, heardMs: clock.now() }
      open.heard.set(peer, heard)
      const { state, end } = value
      found.set(peer, { state, ...(end === undefined ? {} : { end }), heardMs: heard.heardMs })
    }
    return found
  }

  async #close(open: Open): Promise<number> {
    this.#open.delete(keyOf(open))
    await this.#parts.ledger.close(open.pipeline, open.slot)
    return Number.POSITIVE_INFINITY
  }
}

function settledIn(claims: ReadonlyMap<string, HeardClaim>): number {
  return [...claims.values()].filter(isSettled).length
}

/** The rest after a slot could not be seen to: a full disk, a registry out of reach. */
const RETRY_MS = 1_000

function keyOf({ pipeline, slot }: SlotName): string {
  return `${pipeline}/${slot}`
}
