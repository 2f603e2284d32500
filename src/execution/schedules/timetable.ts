/** The schedules of the federation as people make, change and look at them. */
import type { Clock } from '../../base/clock.ts'
import { type ErrorCode, NodeError } from '../../base/errors.ts'
import { scheduleRunsShownMax } from '../../base/limits.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Members } from '../../federation/members.ts'
import type { Collection } from '../../registry/collection.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { Pipeline } from '../catalogue/pipeline.ts'
import type { Run } from '../runs/run.ts'
import { type Claim, parseClaimName } from './claim.ts'
import { counting, rankFor } from './claims.ts'
import type { Ledger, Problem, Spared } from './ledger.ts'
import { checkCron, runnersOf, type Schedule, type Terms, termsOf } from './schedule.ts'
import { type SlotRuns, slotOf } from './slot-runs.ts'
import { nextSlots } from './slots.ts'

export interface TimetableParts {
  readonly schedules: Pick<Collection<Schedule>, 'get' | 'list' | 'put' | 'remove'>
  readonly claims: Pick<Collection<Claim>, 'list'>
  readonly catalogue: Pick<Catalogue, 'pipeline'>
  readonly datasets: Pick<Datasets, 'find'>
  readonly members: Pick<Members, 'list' | 'get'>
  readonly live: () => readonly string[]
  /** How many ballots a round needs among so many members. */
  readonly quorumOf: (members: number) => number
  readonly ledger: Pick<Ledger, 'get'>
  readonly runs: Pick<SlotRuns, 'list'>
  readonly clock: Clock
}

/** A schedule with all that it means, and what this node knows of it. */
export interface ScheduleView extends Omit<Schedule, keyof Terms>, Terms {
  /** When it fires next, ms since the epoch; never while it is paused. */
  readonly nextMs?: number
  readonly lastProblem?: Problem
  /** The last slot that this node left to others. */
  readonly lastSpared?: Spared
}

export interface ClaimView extends Claim {
  readonly peer: string
  /** The member's name; its peer id when it is a member no more. */
  readonly name: string
  /** Whether it is one of the runs that count for the slot. */
  readonly counts: boolean
}

export interface SlotView {
  readonly slot: number
  readonly claims: readonly ClaimView[]
}

export interface ScheduleDetails extends ScheduleView {
  /** The next three times, ms since the epoch. */
  readonly next: readonly number[]
  /** This node's last runs for it, newest first. */
  readonly runs: readonly (Pick<Run, 'id' | 'slot' | 'state' | 'reason' | 'createdMs' | 'endedMs'> & {
    readonly code?: ErrorCode
  })[]
  /** The last slots that members claimed, newest first. */
  readonly slots: readonly SlotView[]
  /** Who is to run the next slot as things are now, names in order; with the scopes `once` and k alone. */
  readonly nextInLine?: readonly string[]
}

const TIMES_SHOWN = 3
const SLOTS_SHOWN = 3
/** Slots whose distances are looked at to see whether a jitter fits between them. */
const GAPS_SEEN = 12

export class Timetable {
  readonly #parts: TimetableParts

  constructor(parts: TimetableParts) {
    this.#parts = parts
  }

  /**
   * Puts a schedule in the place of an earlier one of its pipeline.
   *
   * @throws NodeError INVALID_CRON, PIPELINE_NOT_FOUND; INVALID_INPUT and DATASET_WITHHELD for what could not work;
   * CONFLICT when the name is another member's.
   */
  async add(schedule: Schedule): Promise<ScheduleView> {
    checkCron(schedule.cron, schedule.timezone)
    const pipeline = this.#parts.catalogue.pipeline(schedule.pipeline)
    checkJitter(schedule, this.#parts.clock.now())
    this.#checkScope(schedule, pipeline)
    this.#checkRound(schedule, pipeline)
    const { value } = await this.#parts.schedules.put(schedule.pipeline, schedule)
    return this.#view(value)
  }

  /** @throws NodeError SCHEDULE_NOT_FOUND, CONFLICT */
  async remove(pipeline: string): Promise<void> {
    this.#get(pipeline)
    await this.#parts.schedules.remove(pipeline)
  }

  /** Slots that come while it is paused are passed over for good. @throws NodeError SCHEDULE_NOT_FOUND, CONFLICT */
  async pause(pipeline: string, paused: boolean): Promise<ScheduleView> {
    const { paused: before = false, ...schedule } = this.#get(pipeline)
    if (before === paused) return this.#view({ ...schedule, paused })
    const { value } = await this.#parts.schedules.put(pipeline, paused ? { ...schedule, paused } : schedule)
    return this.#view(value)
  }

  /** Sorted by pipeline. */
  list(): ScheduleView[] {
    return this.#parts.schedules.list().map(({ value }) => this.#view(value))
  }

  /** @throws NodeError SCHEDULE_NOT_FOUND */
  show(pipeline: string): ScheduleDetails {
    const schedule = this.#get(pipeline)
    const { clock, runs, live, members } = this.#parts
    const next = termsOf(schedule).paused ? [] : nextSlots(schedule, clock.now(), TIMES_SHOWN)
    const shown = runs.list(pipeline).slice(-scheduleRunsShownMax).reverse()
    const [soonest] = next
    const claimed = runnersOf(schedule) !== undefined && soonest !== undefined
    const inLine = claimed ? rankFor({ pipeline, slot: soonest }, live()) : []
    return {
      ...this.#view(schedule),
      next,
      runs: shown.map((run) => ({
        ...{ id: run.id, slot: slotOf(run) ?? run.slot, state: run.state, createdMs: run.createdMs },
        ...(run.reason === undefined ? {} : { reason: run.reason }),
        ...(run.code === undefined ? {} : { code: run.code }),
        ...(run.endedMs === undefined ? {} : { endedMs: run.endedMs }),
      })),
      slots: this.#slots(schedule),
      ...(claimed ? { nextInLine: inLine.map((peer) => members.get(peer)?.name ?? peer) } : {}),
    }
  }

  #get(pipeline: string): Schedule {
    const schedule = this.#parts.schedules.get(pipeline)?.value
    if (schedule !== undefined) return schedule
    throw new NodeError('SCHEDULE_NOT_FOUND', `The pipeline ${pipeline} is not scheduled`, { pipeline })
  }

  #view(schedule: Schedule): ScheduleView {
    const terms = termsOf(schedule)
    const [nextMs] = terms.paused ? [] : nextSlots(schedule, this.#parts.clock.now(), 1)
    const { ledger, runs } = this.#parts
    const { problem, spared: lastSpared } = ledger.get(schedule.pipeline) ?? {}
    const lastProblem = lastProblemOf(problem, runs.list(schedule.pipeline))
    return {
      ...schedule,
      ...terms,
      ...(nextMs === undefined ? {} : { nextMs }),
      ...(lastProblem === undefined ? {} : { lastProblem }),
      ...(lastSpared === undefined ? {} : { lastSpared }),
    }
  }

  #slots(schedule: Schedule): SlotView[] {
    const { claims, members } = this.#parts
    const { pipeline } = schedule
    const bySlot = new Map<number, Map<string, Claim>>()
    for (const { name, value } of claims.list(`${pipeline}/`)) {
      const claimed = parseClaimName(name)
      if (claimed === undefined) continue
      const ofSlot = bySlot.get(claimed.slot) ?? new Map<string, Claim>()
      bySlot.set(claimed.slot, ofSlot.set(claimed.peer, value))
    }
    const newest = [...bySlot].sort(([a], [b]) => b - a).slice(0, SLOTS_SHOWN)
    return newest.map(([slot, ofSlot]) => {
      const ranked = rankFor({ pipeline, slot }, ofSlot.keys())
      const identity = ranked
        .map((peer) => ofSlot.get(peer))
        .find((claim) => claim?.state === 'done')?.identity
      const runners = runnersOf(schedule) ?? ofSlot.size
      const counted = counting({ pipeline, slot }, { runners, identity: identity ?? '', claims: ofSlot })
      return {
        slot,
        claims: ranked.map((peer) => ({
          ...(ofSlot.get(peer) as Claim),
          ...{ peer, name: members.get(peer)?.name ?? peer, counts: counted.includes(peer) },
        })),
      }
    })
  }

  #checkScope(schedule: Schedule, pipeline: Pipeline): void {
    const { members, datasets } = this.#parts
    const runners = runnersOf(schedule)
    if (runners === undefined) {
      if (schedule.takeOverMs === undefined) return
      const message =
        'Nobody takes a slot over that every member runs for itself: leave takeOverMs out, or say scope once'
      throw new NodeError('INVALID_INPUT', message)
    }
    const count = members.list().length
    if (runners > count) {
      const message = `The federation has ${count === 1 ? 'one member' : `${count} members`}, so a slot cannot be run by ${runners}; say scope every-member`
      throw new NodeError('INVALID_INPUT', message, { members: count, runners })
    }
    const local = datasetsOf(pipeline).filter((dataset) => datasets.find(dataset)?.policy === 'local-only')
    if (local.length === 0) return
    const message = `No other member could run it in this node's place: ${local.join(', ')} never ${local.length === 1 ? 'leaves' : 'leave'} this node (local-only); say scope every-member`
    throw new NodeError('DATASET_WITHHELD', message, { datasets: local })
  }

  /** A round that can never be decided would only look like one. */
  #checkRound(schedule: Schedule, pipeline: Pipeline): void {
    if (schedule.round === undefined) return
    const { members, datasets, quorumOf } = this.#parts
    const outputs = [...new Set(pipeline.steps.map((step) => step.output_dataset))]
    if (!outputs.some((dataset) => datasets.find(dataset)?.policy === 'shared')) {
      const message = `There is nothing to vote on: of the datasets that ${schedule.pipeline} writes (${outputs.join(', ')}) none is shared, and nobody could look into a ballot; leave the round out, or let the results go into a shared dataset`
      throw new NodeError('DATASET_WITHHELD', message, { datasets: outputs })
    }
    const runners = runnersOf(schedule)
    const count = members.list().length
    const needed = quorumOf(count)
    if (runners === undefined || runners >= needed) return
    const message = `${runners === 1 ? 'One member runs' : `${runners} members run`} a slot, and a round among ${count} needs ${needed} ballots, so none would ever be decided; say scope every-member or ${needed}, or leave the round out`
    throw new NodeError('INVALID_INPUT', message, { runners, needed, members: count })
  }
}

/**
 * What was noted last, or the last run that this node refused, such as one that wants what its owner has not approved:
 * whichever came later. Pure.
 */
export function lastProblemOf(
  noted: Problem | undefined,
  runs: readonly Pick<Run, 'state' | 'slot' | 'reason' | 'code' | 'createdMs' | 'endedMs'>[],
): Problem | undefined {
  const refused = runs.findLast(({ state }) => state === 'rejected')
  if (refused === undefined) return noted
  const { slot, reason = 'this node refused it', code, createdMs, endedMs: timeMs = createdMs } = refused
  if (noted !== undefined && noted.timeMs >= timeMs) return noted
  return { slot, timeMs, kind: 'refused', ...(code === undefined ? {} : { code }), reason }
}

/** @throws NodeError INVALID_INPUT for a jitter that does not fit between two slots. */
function checkJitter(schedule: Schedule, nowMs: number): void {
  const { jitterMs } = termsOf(schedule)
  if (jitterMs === 0) return
  const slots = nextSlots(schedule, nowMs, GAPS_SEEN)
  const gapMs = Math.min(...slots.slice(1).map((slot, at) => slot - (slots[at] ?? 0)))
  if (jitterMs <= gapMs) return
  const message = `A jitter of ${jitterMs / 1_000} s does not fit: the rule fires every ${gapMs / 1_000} s; choose one below that`
  throw new NodeError('INVALID_INPUT', message, { jitterMs, gapMs })
}

function datasetsOf({ steps }: Pipeline): string[] {
  const named = steps.flatMap((step) => [step.input_dataset, step.output_dataset])
  return [...new Set(named.filter((name) => name !== null))]
}
