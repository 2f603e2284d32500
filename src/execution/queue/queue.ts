import { type Clock, steadyClock } from '../../base/clock.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import { engineLookAgainMs, engineLookIntervalMs, queueLineLifeMs, timerMaxMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { type Allocation, isEnded, type Run } from '../runs/run.ts'
import { endRun } from '../runs/run-machine.ts'
import type { RunStore } from '../runs/run-store.ts'
import { type AllocatorLimits, type Allotment, allocate, type Wait, type WaitKind } from './allocator.ts'
import { type Break, BrokenRuns } from './broken-runs.ts'
import { type EngineLook, EngineWatch } from './engine-watch.ts'
import { begunMs, dominantShare, totalOf } from './needs.ts'
import { lateEnd, nextWakeMs, readySinceMs } from './patience.ts'
import type { QueueSettings } from './settings.ts'
import { byArrival, charged, costOf, ownerOf, type Usage } from './turns.ts'

/** Why the signal of a run aborts: its end differs. */
export const CANCELLED = 'cancelled'
export const STOPPED = 'stopped'

export interface RunQueueParts {
  readonly store: Pick<RunStore, 'list' | 'queued' | 'get' | 'find' | 'note' | 'save'>
  /** Carries a run to its end; the signal's reason is CANCELLED or STOPPED. */
  readonly run: (id: string, signal: AbortSignal) => Promise<void>
  /** Brings the record of a run to rest that broke off. @throws while it cannot be written. */
  readonly mend: (id: string, found: Break) => Promise<void>
  readonly look: EngineLook
  /** `limits.ownerRunsMax` is asked at every look. */
  readonly limits: AllocatorLimits
  /** How long a run waits for an engine that does not answer, ms. */
  readonly engineWaitMs: number
  readonly clock: Clock
  /** See `EngineWatch`. */
  readonly steady?: Clock
  readonly log: Logger
}

/** What may change without a word from anybody, so that it is looked for. */
const LOOKED_FOR: ReadonlySet<WaitKind> = new Set(['engine', 'resources', 'never'])

/** What the settings say of the queue. */
export function queueTerms(settings: QueueTerms): Pick<RunQueueParts, 'limits' | 'engineWaitMs'> {
  const { concurrency, cpus, memoryBytes, stepTimeoutMs: timeoutMs, queue } = settings
  const { runsPerOwner: perOwner, agingMs, engineWaitMs } = queue
  const defaults = { cpus, memoryBytes, timeoutMs }
  return { limits: { concurrency, perOwner, agingMs, defaults }, engineWaitMs }
}

interface QueueTerms {
  readonly concurrency: number
  readonly cpus: number
  readonly memoryBytes: number
  readonly stepTimeoutMs: number
  readonly queue: QueueSettings
}

interface Active {
  readonly controller: AbortController
  readonly ended: Promise<void>
}

/** Where a run stands in line, from 1, and why it waits. */
export interface QueuePlace {
  readonly run: Run
  readonly position: number
  readonly why: string
  /** Undefined where it starts now. */
  readonly kind?: WaitKind | undefined
}

/**
 * Starts the stored runs that are queued, as the allocator says. The queue is the store, so it outlives the process; what
 * is kept here, who is at work and what owners had, is reckoned anew from it at a start.
 */
export class RunQueue {
  readonly #parts: RunQueueParts
  readonly #active = new Map<string, Active>()
  /** Queued runs that are being ended and must not start meanwhile. */
  readonly #withdrawn = new Map<string, Promise<void>>()
  readonly #broken: BrokenRuns
  readonly #steady: Clock
  readonly #engines: EngineWatch
  /** Undefined until the engines are known: a share is one of what there is. */
  #usage: Usage | undefined
  #open = false
  #timer: NodeJS.Timeout | undefined
  /** The line as it was told last, and when that was. */
  #told: { readonly line: QueuePlace[]; readonly timeMs: number } | undefined

  constructor(parts: RunQueueParts) {
    this.#parts = parts
    const { look, mend, clock, steady, log } = parts
    this.#steady = steady ?? steadyClock
    this.#engines = new EngineWatch({ look, clock, steady, log, onLook: () => this.pump() })
    this.#broken = new BrokenRuns({
      mend: (id, found) => this.withdraw(id, () => mend(id, found)),
      onMended: () => this.pump(),
      log,
    })
  }

  start(): void {
    this.#open = true
    this.#engines.look()
    this.pump()
  }

  /** Cuts the active runs and waits for their ends; the queued ones wait for the next start. */
  async stop(): Promise<void> {
    this.#open = false
    clearTimeout(this.#timer)
    for (const { controller } of this.#active.values()) controller.abort(STOPPED)
    await Promise.all([...[...this.#active.values()].map(({ ended }) => ended), ...this.#withdrawn.values()])
    await this.#broken.stop()
  }

  /** Starts what may start; called whenever a run has been queued or has ended, and when a time or an engine comes. */
  pump(): void {
    this.#told = undefined
    if (!this.#open) return
    clearTimeout(this.#timer)
    const waiting = this.#waiting()
    if (waiting.length === 0 || this.#engines.states === undefined) return
    if (this.#usage === undefined) this.#reckonUsage()
    const isFull = this.#active.size >= this.#parts.limits.concurrency
    // One time for the whole look: what is early for one part of it must not be past for another, or it is missed.
    const nowMs = this.#parts.clock.now()
    // Nothing can start or end then, and whoever asks why is told when it asks.
    const nextMs = nextWakeMs(waiting, nowMs)
    if (isFull && nextMs > nowMs) {
      this.#wakeAt(nextMs, nowMs)
      return
    }
    const { starts, waits } = this.#allot(waiting, nowMs)
    for (const { run, allocation } of starts) {
      this.#parts.store.note({ ...run, allocation })
      this.#begin(run, allocation)
    }
    if (starts.length > 0) this.#told = undefined
    this.#endLate(waits, nowMs)
    this.#wakeAgain(waits, nowMs)
  }

  /** Tells an active run to end; false when the run is not active. */
  cancel(id: string): boolean {
    const active = this.#active.get(id)
    active?.controller.abort(CANCELLED)
    return active !== undefined
  }

  /** Keeps a queued run from starting while `action` ends it. Two such actions on one run take turns. */
  async withdraw(id: string, action: () => Promise<void>): Promise<void> {
    const before = this.#withdrawn.get(id) ?? Promise.resolve()
    const acting = before.then(action)
    const settled = acting.catch(() => undefined)
    this.#withdrawn.set(id, settled)
    try {
      await acting
    } finally {
      if (this.#withdrawn.get(id) === settled) this.#withdrawn.delete(id)
      this.pump()
    }
  }

  /** All queued runs as they stand in line. */
  line(): QueuePlace[] {
    const timeMs = this.#steady.now()
    if (this.#told !== undefined && timeMs - this.#told.timeMs < queueLineLifeMs) return this.#told.line
    this.#told = { line: this.#lineNow(), timeMs }
    return this.#told.line
  }

  #lineNow(): QueuePlace[] {
    const waiting = this.#waiting()
    const { line, waits } = this.#allot(waiting)
    const byId = new Map(waiting.map((run) => [run.id, run]))
    const places = line.map((id): Omit<QueuePlace, 'position'> => {
      return { run: byId.get(id) as Run, why: waits.get(id)?.why ?? 'starts now', kind: waits.get(id)?.kind }
    })
    for (const run of this.#parts.store.queued()) {
      const why = this.#broken.whyOf(run.id)
      if (why === undefined) continue
      places.push({ run, why: `it begins when records can be written again: ${why}`, kind: 'resources' })
    }
    return places.map((place, index) => ({ ...place, position: index + 1 }))
  }

  /** What would become of the run if it were queued now. */
  foresee(run: Run): { position: number; engine?: string; why?: string } {
    const { starts, waits, line } = this.#allot([...this.#waiting(), run])
    const engine = starts.find((start) => start.run.id === run.id)?.allocation.engine
    const why = waits.get(run.id)?.why
    return {
      position: line.indexOf(run.id) + 1,
      ...(engine === undefined ? {} : { engine }),
      ...(why === undefined ? {} : { why }),
    }
  }

  /** @throws NodeError NO_PLACE when no engine of this node could ever take it. */
  checkPossible(run: Run): void {
    const wait = this.#allot([run]).waits.get(run.id)
    if (wait?.kind !== 'never') return
    const message = `The pipeline ${run.pipeline} can never run on this node: ${wait.why}; ask for less, or run it on a member that has it`
    throw new NodeError('NO_PLACE', message, { pipeline: run.pipeline })
  }

  #allot(queued: readonly Run[], nowMs = this.#parts.clock.now()): Allotment {
    const { store, limits } = this.#parts
    const active = [...this.#active.keys()].map((id) => store.get(id))
    const engines = this.#engines.states ?? []
    return allocate({
      engines,
      active,
      queued: queued.toSorted(byArrival),
      limits,
      usage: this.#usage ?? new Map(),
      nowMs,
    })
  }

  #waiting(): Run[] {
    return this.#parts.store
      .queued()
      .filter(({ id }) => !this.#active.has(id) && !this.#withdrawn.has(id) && !this.#broken.has(id))
  }

  #begin(run: Run, allocation: Allocation): void {
    const controller = new AbortController()
    const ended = this.#carry(run, allocation, controller.signal)
    this.#active.set(run.id, { controller, ended })
  }

  /** Never rejects. */
  async #carry(begun: Run, allocation: Allocation, signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#parts
    const { id } = begun
    const beganMs = this.#steady.now()
    const isQueued = () => store.find(id)?.state === 'queued'
    try {
      await this.#parts.run(id, signal)
      // The wish came while the run was on its way back into the queue. Nothing is awaited between this look and the
      // removal below, so that a later one finds a run that waits.
      if (signal.reason === CANCELLED && isQueued()) await store.save(cancelled(store.get(id), clock.now()))
    } catch (error) {
      this.#broken.add(id, { why: messageOf(error), cancelled: signal.reason === CANCELLED })
    }
    this.#active.delete(id)
    this.#charge(ownerOf(begun), allocation, this.#steady.now() - beganMs, clock.now())
    // It may have met an engine that is gone.
    if (isQueued()) this.#engines.look()
    this.pump()
  }

  /** Runs that have waited too long end, each with the reason why it waited. */
  #endLate(waits: ReadonlyMap<string, Wait>, nowMs: number): void {
    const { store, engineWaitMs } = this.#parts
    for (const run of this.#waiting()) {
      const { down } = this.#engines
      const late = lateEnd(run, { wait: waits.get(run.id), down, engineWaitMs, nowMs })
      if (late === undefined) continue
      const end = async () => {
        if (!isEnded(store.get(run.id))) await store.save(late)
      }
      this.withdraw(run.id, end).catch((error: unknown) => {
        this.#broken.add(run.id, { why: messageOf(error), cancelled: false })
      })
    }
  }

  #wakeAgain(waits: ReadonlyMap<string, Wait>, nowMs: number): void {
    const waiting = this.#waiting()
    if (waiting.length === 0 || !this.#open) return
    const lookers = waiting.filter(({ id }) => LOOKED_FOR.has(waits.get(id)?.kind ?? 'turn'))
    const looks = lookers.length > 0
    const { askedMs } = this.#engines
    // Whoever comes while an engine is down has it asked again for itself.
    const isNew = (sinceMs: number) => sinceMs >= askedMs && sinceMs <= nowMs
    const restMs = lookers.some((run) => isNew(readySinceMs(run))) ? engineLookAgainMs : engineLookIntervalMs
    if (looks) this.#engines.lookWhenOlder(restMs)
    const untilLookMs = Math.min(restMs, Math.max(this.#parts.engineWaitMs, 1))
    const lookMs = looks ? nowMs + untilLookMs : Number.POSITIVE_INFINITY
    this.#wakeAt(Math.min(nextWakeMs(waiting, nowMs), lookMs), nowMs)
  }

  #wakeAt(wakeMs: number, nowMs: number): void {
    clearTimeout(this.#timer)
    if (!Number.isFinite(wakeMs)) return
    this.#timer = setTimeout(() => this.pump(), Math.min(Math.max(0, wakeMs - nowMs), timerMaxMs))
  }

  /** What owners had before this start of the node is reckoned from the runs that it remembers. */
  #reckonUsage(): void {
    this.#usage = new Map()
    for (const run of this.#parts.store.list()) {
      const { allocation, endedMs = 0 } = run
      if (allocation === undefined || !isEnded(run)) continue
      this.#charge(ownerOf(run), allocation, endedMs - begunMs(run, endedMs), endedMs)
    }
  }

  /** Every try costs its owner what it took, also one that the machinery failed. */
  #charge(owner: string, allocation: Allocation, tookMs: number, nowMs: number): void {
    if (this.#usage === undefined) return
    const share = dominantShare(
      { ...allocation, gpus: allocation.gpus.length },
      totalOf(this.#engines.states ?? []),
    )
    this.#usage = charged(this.#usage, { owner, amount: costOf(share, tookMs), nowMs })
  }
}

/** How a run ends that somebody has cancelled. */
export function cancelled(run: Run, timeMs: number): Run {
  return endRun(run, 'cancelled', { timeMs, reason: 'cancelled on request', code: 'CANCELLED' })
}
