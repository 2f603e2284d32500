import type { Clock } from '../../base/clock.ts'
import { isNodeError, messageOf, NodeError } from '../../base/errors.ts'
import { overlapWaitingMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { Submissions } from '../queue/submissions.ts'
import { isEnded, type Run, type Trigger } from '../runs/run.ts'
import { endRun, newRun } from '../runs/run-machine.ts'
import type { RunStore } from '../runs/run-store.ts'
import type { Ledger, Problem } from './ledger.ts'
import { runIdentity } from './run-identity.ts'
import { type Schedule, termsOf } from './schedule.ts'
import type { Sharing, WorkSharing } from './shared-work.ts'

export interface SlotRunsParts {
  readonly submissions: Pick<Submissions, 'submit' | 'keepEnded'>
  readonly catalogue: Pick<Catalogue, 'pipelines'>
  readonly store: Pick<RunStore, 'list' | 'onRun'>
  readonly ledger: Pick<Ledger, 'note' | 'spare'>
  /** Says whose result of a slot is enough; without it, every member's is wanted each time. */
  readonly workSharing?: WorkSharing | undefined
  readonly newId: () => string
  readonly clock: Clock
  readonly log: Logger
}

/** The slot of a run that a schedule began, or of its repetition after a crash; a rerun stands for nothing anew. */
export function slotOf({ trigger }: Run): number | undefined {
  return trigger.kind === 'schedule' || trigger.kind === 'repeat' ? trigger.slot : undefined
}

/** The runs of this node for the slots of schedules. A slot that cannot be run leaves a trace: an ended run, a problem, or both. */
export class SlotRuns {
  readonly #parts: SlotRunsParts

  constructor(parts: SlotRunsParts) {
    this.#parts = parts
  }

  /** Oldest first. */
  list(pipeline: string): Run[] {
    return this.#parts.store.list().filter((run) => run.pipeline === pipeline && slotOf(run) !== undefined)
  }

  /** The newest run for the slot. */
  find(pipeline: string, slot: number): Run | undefined {
    return this.#parts.store.list().findLast((run) => run.pipeline === pipeline && slotOf(run) === slot)
  }

  /** What a run for the slot stands for, as the pipeline is now. */
  identity(schedule: Schedule, slot: number): string {
    const { pipeline } = schedule
    const plan = this.#parts.catalogue.pipelines.get(pipeline)?.value.steps ?? []
    return runIdentity({ pipeline, plan, slot, scope: termsOf(schedule).scope })
  }

  /** Who is to run a slot that every member would run. */
  async sharing({ pipeline, round }: Schedule, slot: number): Promise<Sharing> {
    const { workSharing, catalogue } = this.#parts
    const steps = catalogue.pipelines.get(pipeline)?.value.steps ?? []
    if (workSharing === undefined || round === undefined || steps.length === 0) return 'everybody'
    const outputs = steps.map(({ name: step, output_dataset: dataset }) => ({ dataset, step }))
    return workSharing.of({ pipeline, slot, outputs, windowMs: round.windowMs })
  }

  /**
   * Queues a run for the slot.
   *
   * @param p.behind whether it waits for the runs before it whatever the schedule says of overlaps.
   * @param p.waitMsMax how long it waits in the queue; default: the node's setting.
   * @returns the run (one that has ended as `rejected` when the queue would not have it); undefined when the slot is
   * skipped.
   */
  async begin(
    schedule: Schedule,
    slot: number,
    p: { behind?: boolean; waitMsMax?: number } = {},
  ): Promise<Run | undefined> {
    const { submissions, clock, log } = this.#parts
    const { pipeline, priority } = schedule
    const overlap = this.#overlap(schedule, p.behind === true)
    if (overlap !== undefined) {
      await this.skip(schedule, slot, overlap)
      return undefined
    }
    const trigger: Trigger = { kind: 'schedule', slot, identity: this.identity(schedule, slot) }
    try {
      this.#checkThere(pipeline)
      const run = await submissions.submit(pipeline, {
        trigger,
        ...(priority === undefined ? {} : { priority }),
        ...(p.waitMsMax === undefined ? {} : { waitMsMax: p.waitMsMax }),
      })
      log.info({ pipeline, slot, run: run.id, lateMs: clock.now() - slot }, 'a scheduled run is queued')
      return run
    } catch (error) {
      return this.#refused(schedule, slot, trigger, error)
    }
  }

  /** Notes that the slot is not run since an earlier one is still at work. */
  async skip({ pipeline }: Schedule, slot: number, reason: string): Promise<void> {
    await this.note(pipeline, { slot, kind: 'overlap', reason })
  }

  /** Notes that others run the slot for all. */
  async spare(pipeline: string, { slot, reason }: { slot: number; reason: string }): Promise<void> {
    const { ledger, clock, log } = this.#parts
    log.info({ pipeline, slot, reason }, 'a slot of a schedule is left to others')
    await ledger.spare(pipeline, { slot, timeMs: clock.now(), kind: 'proven', reason })
  }

  async note(pipeline: string, problem: Omit<Problem, 'timeMs'>): Promise<void> {
    const { ledger, clock, log } = this.#parts
    log.warn({ pipeline, slot: problem.slot, reason: problem.reason }, 'a slot of a schedule was not run')
    await ledger.note(pipeline, { ...problem, timeMs: clock.now() })
  }

  /** Why the slot overlaps so that it is not to be run. */
  #overlap(schedule: Schedule, behind: boolean): string | undefined {
    const unended = this.list(schedule.pipeline).filter((run) => !isEnded(run))
    const [oldest] = unended
    if (oldest === undefined) return undefined
    const { overlap } = termsOf(schedule)
    if (overlap === 'skip' && !behind) return `run ${oldest.id} of an earlier slot has not ended`
    if (unended.length < overlapWaitingMax) return undefined
    return `${unended.length} runs of earlier slots have not ended, the first of them ${oldest.id}`
  }

  #checkThere(pipeline: string): void {
    if (this.#parts.catalogue.pipelines.get(pipeline) !== undefined) return
    const message = `The schedule names the pipeline ${pipeline}, which is not in the registry`
    throw new NodeError('PIPELINE_NOT_FOUND', message, { pipeline })
  }

  /** A time that passed in silence helps nobody: what kept the run from the queue is told as a run that ended. */
  async #refused(schedule: Schedule, slot: number, trigger: Trigger, error: unknown): Promise<Run> {
    const { catalogue, submissions, newId, clock } = this.#parts
    const { pipeline } = schedule
    const reason = messageOf(error)
    const code = isNodeError(error) ? error.code : 'INTERNAL'
    await this.note(pipeline, { slot, kind: 'refused', code, reason })
    const timeMs = clock.now()
    const plan = catalogue.pipelines.get(pipeline)?.value.steps ?? []
    const run = newRun({ id: newId(), pipeline, plan, trigger, timeMs })
    // What this node will not take is refused; what it cannot write down is the machinery's failure.
    const end = code === 'STORE_FAILED' || code === 'INTERNAL' ? 'errored' : 'rejected'
    const ended = endRun(run, end, { timeMs, reason, code })
    await submissions.keepEnded(ended)
    return ended
  }
}
