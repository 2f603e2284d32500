import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import type { Run } from '../runs/run.ts'
import type { RunStore } from '../runs/run-store.ts'

/** Why the signal of a run aborts: its end differs. */
export const CANCELLED = 'cancelled'
export const STOPPED = 'stopped'

/** The branches that a run writes. Two runs that wrote one branch at once would lose one another's files. */
function branchesOf(run: Run): string[] {
  return run.plan.map((step) => `${step.output_dataset}/${step.name}`)
}

/**
 * Which queued runs may start now: the oldest first, as many as there is room for, and none that writes a branch which
 * an active run, or an older one that waits, writes too. Pure.
 */
export function nextRuns(queued: readonly Run[], active: readonly Run[], concurrency: number): Run[] {
  const taken = new Set(active.flatMap(branchesOf))
  const chosen: Run[] = []
  for (const run of queued) {
    const branches = branchesOf(run)
    const free = branches.every((branch) => !taken.has(branch))
    if (free && active.length + chosen.length < concurrency) chosen.push(run)
    for (const branch of branches) taken.add(branch)
  }
  return chosen
}

export interface RunQueueParts {
  readonly store: Pick<RunStore, 'list' | 'get'>
  /** Carries a run to its end; the signal's reason is CANCELLED or STOPPED. */
  readonly run: (id: string, signal: AbortSignal) => Promise<void>
  readonly concurrency: number
  readonly log: Logger
}

interface Active {
  readonly controller: AbortController
  readonly ended: Promise<void>
}

/** Starts the stored runs that are queued, in order of arrival. The queue is the store, so it outlives the process. */
export class RunQueue {
  readonly #parts: RunQueueParts
  readonly #active = new Map<string, Active>()
  /** Queued runs that are being cancelled and must not start meanwhile. */
  readonly #withdrawn = new Set<string>()
  #open = false

  constructor(parts: RunQueueParts) {
    this.#parts = parts
  }

  start(): void {
    this.#open = true
    this.pump()
  }

  /** Cuts the active runs and waits for their ends; the queued ones wait for the next start. */
  async stop(): Promise<void> {
    this.#open = false
    for (const { controller } of this.#active.values()) controller.abort(STOPPED)
    await Promise.all([...this.#active.values()].map(({ ended }) => ended))
  }

  /** Starts what may start; called whenever a run has been queued or has ended. */
  pump(): void {
    if (!this.#open) return
    const { store, concurrency } = this.#parts
    const waiting = (run: Run) =>
      run.state === 'queued' && !this.#active.has(run.id) && !this.#withdrawn.has(run.id)
    const active = [...this.#active.keys()].map((id) => store.get(id))
    for (const run of nextRuns(store.list().filter(waiting), active, concurrency)) this.#begin(run.id)
  }

  /** Tells an active run to end; false when the run is not active. */
  cancel(id: string): boolean {
    const active = this.#active.get(id)
    active?.controller.abort(CANCELLED)
    return active !== undefined
  }

  /** Keeps a queued run from starting while `action` ends it. */
  async withdraw(id: string, action: () => Promise<void>): Promise<void> {
    this.#withdrawn.add(id)
    try {
      await action()
    } finally {
      this.#withdrawn.delete(id)
      this.pump()
    }
  }

  #begin(id: string): void {
    const controller = new AbortController()
    const ended = this.#parts
      .run(id, controller.signal)
      .catch((error: unknown) => {
        // Its record could not be written: tried again at the next start, not at once and for ever.
        this.#withdrawn.add(id)
        this.#parts.log.error({ run: id, error: messageOf(error) }, 'a run broke off')
      })
      .finally(() => {
        this.#active.delete(id)
        this.pump()
      })
    this.#active.set(id, { controller, ended })
  }
}
