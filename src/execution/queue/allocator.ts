/**
 * Which runs start now, on which engine, with what of it; and of every other run why it waits. Pure.
 *
 * Runs are looked at in turn (turns.ts). One that writes a branch that an active run writes, or that a run before it in
 * line will write, waits: two runs never write one branch at once. One that does not fit keeps a place: the engine where
 * it will fit first, reckoned with the longest times that the runs there may take. A later run starts there only if it
 * ends before that at the latest, or takes what the first one leaves (EASY backfilling: Lifka, "The ANL/IBM SP
 * Scheduling System", JSSPP 1995): small runs fill the gaps, and none of them keeps a large one waiting.
 */
import type { EngineState } from '../engines/engines.ts'
import type { Allocation, Resources, Run } from '../runs/run.ts'
import { type Kept, keptPlace, leavesIt, useOfKept } from './kept-place.ts'
import {
  begunMs,
  counted,
  dominantShare,
  type Free,
  freeOf,
  hasBegun,
  heldUntilMs,
  lacking,
  longestMs,
  needOn,
  type StepDefaults,
  take,
  totalOf,
} from './needs.ts'
import { costOf as costOfShare, inTurn, OWN, ownerOf, type Usage, usageAt } from './turns.ts'
import * as words from './waiting-words.ts'

export interface AllocatorLimits {
  /** Runs at once. */
  readonly concurrency: number
  /** Runs at once of one owner other than the node itself. */
  readonly perOwner: number
  /** A narrower bound for one of them, where the host policy has one. */
  readonly ownerRunsMax?: (owner: string) => number | undefined
  readonly agingMs: number
  readonly defaults: StepDefaults
}

export interface AllocatorInput {
  readonly engines: readonly EngineState[]
  /** At work, each with its allocation. */
  readonly active: readonly Run[]
  readonly queued: readonly Run[]
  readonly limits: AllocatorLimits
  /** What owners had before; the active runs are reckoned on top. */
  readonly usage?: Usage
  readonly nowMs: number
}

/** What a run waits for. `engine`: no engine that could take it answers. `never`: no engine of this node could. */
export type WaitKind = 'time' | 'branch' | 'owner' | 'turn' | 'resources' | 'engine' | 'never'

export interface Wait {
  readonly kind: WaitKind
  /** A sentence for people. */
  readonly why: string
}

export interface Start {
  readonly run: Run
  readonly allocation: Allocation
}

export interface Allotment {
  readonly starts: readonly Start[]
  /** Of every queued run that does not start. */
  readonly waits: ReadonlyMap<string, Wait>
  /** Ids of all queued runs as they stand in line, those that start first. */
  readonly line: readonly string[]
}

export function allocate(input: AllocatorInput): Allotment {
  return new Allocating(input).result()
}

/** The branches that a run writes. */
export function branchesOf(run: Pick<Run, 'plan' | 'bases'>): string[] {
  // A rerun commits beside all branches.
  if (run.bases !== undefined) return []
  return run.plan.map((step) => `${step.output_dataset}/${step.name}`)
}

/** What is gathered while one line of runs is walked; it ends with `result`. */
class Allocating {
  readonly #in: AllocatorInput
  readonly #up: readonly EngineState[]
  readonly #free: Map<string, Free>
  /** Active runs, and those that start now. */
  readonly #atWork: Run[]
  readonly #writers = new Map<string, string>()
  readonly #starts: Start[] = []
  readonly #waits = new Map<string, Wait>()
  /** Runs that would begin if there were room. */
  #inLine = 0
  #kept: Kept | undefined

  constructor(input: AllocatorInput) {
    this.#in = input
    this.#up = input.engines.filter(({ up }) => up)
    this.#free = new Map(this.#up.map((engine) => [engine.id, freeOf(engine, input.active)]))
    this.#atWork = [...input.active]
  }

  result(): Allotment {
    const { active, queued, nowMs } = this.#in
    for (const run of active) this.#claim(run)
    const early = queued.filter((run) => heldUntilMs(run, nowMs) !== undefined)
    // A run that has begun holds its branches until its end, also while it waits to begin a step again.
    for (const run of early) {
      if (hasBegun(run)) this.#claim(run)
      this.#waits.set(run.id, { kind: 'time', why: words.notYet(run) })
    }
    const waiting = queued.filter((run) => heldUntilMs(run, nowMs) === undefined)
    for (const run of waiting.filter(hasBegun)) this.#claim(run)
    const turns = this.#turns(waiting)
    for (const run of turns) this.#look(run)
    const later = early.toSorted((a, b) => (a.notBeforeMs ?? 0) - (b.notBeforeMs ?? 0))
    return { starts: this.#starts, waits: this.#waits, line: this.#line([...turns, ...later]) }
  }

  #line(runs: readonly Run[]): string[] {
    const started = new Set(this.#starts.map(({ run }) => run.id))
    return [...started, ...runs.map(({ id }) => id).filter((id) => !started.has(id))]
  }

  #turns(waiting: readonly Run[]): Run[] {
    const { active, usage = new Map(), nowMs, limits } = this.#in
    const total = totalOf(this.#up)
    const shareOf = (run: Run) => {
      const whole = { ...total, gpus: Array.from({ length: total.gpus }, String) }
      return dominantShare(needOn(run, whole, limits.defaults), total)
    }
    const now = new Map<string, number>()
    for (const run of active) {
      const owner = ownerOf(run)
      const amount = costOfShare(shareOf(run), nowMs - begunMs(run, nowMs))
      now.set(owner, (now.get(owner) ?? 0) + amount)
    }
    return inTurn({
      ...{ waiting, nowMs, agingMs: limits.agingMs },
      usageOf: (owner) => usageAt(usage, owner, nowMs) + (now.get(owner) ?? 0),
      cost: (run) => costOfShare(shareOf(run), 0),
    })
  }

  #look(run: Run): void {
    const wait = this.#waitOf(run)
    if (wait !== undefined) this.#waits.set(run.id, wait)
    if (wait?.kind === 'turn' || wait?.kind === 'resources') this.#inLine += 1
    // Whoever stands behind waits for these branches too, or it would overtake; but not one that never comes.
    if (wait?.kind !== 'never') this.#claim(run)
  }

  /** Starts the run, or says why not. */
  #waitOf(run: Run): Wait | undefined {
    const { limits, engines } = this.#in
    const able = engines.filter(
      (engine) => lacking(this.#needOn(run, engine), counted(wholeOf(engine))).length === 0,
    )
    const down = engines.filter(({ up }) => !up)
    const ableAndUp = able.filter(({ up }) => up)
    if (ableAndUp.length === 0) {
      if (down.length > 0 || engines.length === 0) return { kind: 'engine', why: words.noEngine(down) }
      return { kind: 'never', why: words.never(this.#needOn(run, largestOf(engines)), engines) }
    }
    const branch = branchesOf(run).find((each) => (this.#writers.get(each) ?? run.id) !== run.id)
    if (branch !== undefined) return this.#branchWait(branch)
    if (this.#atWork.length >= limits.concurrency) return this.#turnWait()
    const owner = ownerOf(run)
    const ofOwner = this.#atWork.filter((other) => ownerOf(other) === owner).length
    const most = Math.min(limits.perOwner, limits.ownerRunsMax?.(owner) ?? limits.perOwner)
    if (owner !== OWN && ofOwner >= most) {
      return { kind: 'owner', why: words.ownerLimit(ofOwner) }
    }
    const fitting = ableAndUp.filter((engine) => this.#fits(run, engine))
    const free = fitting.filter((engine) => this.#isLeft(run, engine))
    if (free.length > 0) {
      this.#start(run, this.#best(run, free))
      return undefined
    }
    if (fitting.length > 0 && this.#kept !== undefined)
      return { kind: 'resources', why: words.keptFor(this.#kept) }
    return this.#keep(run, ableAndUp)
  }

  #branchWait(branch: string): Wait {
    const writer = this.#writers.get(branch) as string
    const isActive = this.#atWork.some(({ id }) => id === writer)
    return { kind: 'branch', why: words.branch(branch, writer, isActive) }
  }

  #turnWait(): Wait {
    return { kind: 'turn', why: words.turn(this.#inLine, this.#atWork, this.#in.limits.concurrency) }
  }

  /** The first run that does not fit keeps its place; those behind it only wait. */
  #keep(run: Run, able: readonly EngineState[]): Wait {
    const { defaults } = this.#in.limits
    const needed = (engine: EngineState) => this.#needOn(run, engine)
    const world = { free: this.#free, atWork: this.#atWork, nowMs: this.#in.nowMs, defaults }
    const place = keptPlace({ run, engines: able, needOn: needed, ...world })
    if (this.#kept === undefined) this.#kept = place
    const engine = able.find(({ id }) => id === place.engine) as EngineState
    const free = counted(this.#free.get(engine.id) as Free)
    return {
      kind: 'resources',
      why: words.resources({ need: needed(engine), free, engine, atWork: this.#atWork }),
    }
  }

  #fits(run: Run, engine: EngineState): boolean {
    return lacking(this.#needOn(run, engine), counted(this.#free.get(engine.id) as Free)).length === 0
  }

  #isLeft(run: Run, engine: EngineState): boolean {
    if (this.#kept?.engine !== engine.id) return true
    return leavesIt(this.#kept, this.#needOn(run, engine), this.#endsBy(run))
  }

  /** The one that is least taken afterwards; devices are left to those who ask for some. */
  #best(run: Run, able: readonly EngineState[]): EngineState {
    const rank = (engine: EngineState) => {
      const need = this.#needOn(run, engine)
      const free = counted(this.#free.get(engine.id) as Free)
      const whole = counted(wholeOf(engine))
      const taken = {
        cpus: whole.cpus - free.cpus + need.cpus,
        memoryBytes: whole.memoryBytes - free.memoryBytes + need.memoryBytes,
        diskBytes: whole.diskBytes - free.diskBytes + need.diskBytes,
        gpus: need.gpus === 0 ? 0 : whole.gpus - free.gpus + need.gpus,
      }
      return dominantShare(taken, whole) + (need.gpus === 0 && whole.gpus > 0 ? 1 : 0)
    }
    return able.reduce((best, engine) => (rank(engine) < rank(best) ? engine : best))
  }

  #start(run: Run, engine: EngineState): void {
    const free = this.#free.get(engine.id) as Free
    const { gpus: count, ...rest } = this.#needOn(run, engine)
    const allocation: Allocation = { engine: engine.id, ...rest, gpus: free.gpus.slice(0, count) }
    if (this.#kept?.engine === engine.id) {
      this.#kept = useOfKept(this.#kept, { ...rest, gpus: count }, this.#endsBy(run))
    }
    take(free, allocation)
    this.#atWork.push({ ...run, allocation })
    this.#starts.push({ run, allocation })
  }

  #endsBy(run: Run): number {
    return this.#in.nowMs + longestMs(run, this.#in.limits.defaults)
  }

  #needOn(run: Run, engine: EngineState): Resources {
    return needOn(run, engine, this.#in.limits.defaults)
  }

  #claim(run: Run): void {
    for (const branch of branchesOf(run)) if (!this.#writers.has(branch)) this.#writers.set(branch, run.id)
  }
}

function wholeOf(engine: EngineState): Free {
  return freeOf(engine, [])
}

function largestOf(engines: readonly EngineState[]): EngineState {
  return engines.reduce((largest, engine) => (engine.memoryBytes > largest.memoryBytes ? engine : largest))
}
