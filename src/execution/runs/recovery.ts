import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Monitor } from '../../monitoring/monitor.ts'
import { isForeign } from '../steps/refusals.ts'
import type { Staging } from '../steps/staging.ts'
import { trailerOf } from './commit-message.ts'
import { identityOf, isEnded, type Run, type StepRun } from './run.ts'
import { currentStep, endRun, finishStep, newRun, type RunTerms, type StepPatch } from './run-machine.ts'
import type { RunStore } from './run-store.ts'

/**
 * The run that does `run` again: for the same slot, by the same plan. What the first one has finished is taken over
 * and not done twice, since a tool writes new files only and may rightly refuse to write those of one slot again. A run
 * that succeeded has nothing left to do for its slot, so its repetition stands for its own time. Pure.
 */
export function repetitionOf(run: Run, id: string, timeMs: number): Run {
  const { pipeline, plan } = run
  const terms = repeatedTerms(run, timeMs)
  if (run.state === 'succeeded') {
    return newRun({ id, pipeline, plan, trigger: { kind: 'repeat', of: run.id }, timeMs, terms })
  }
  const done = run.steps
    .filter((step) => step.state === 'succeeded')
    .map((step): StepRun => ({ ...step, doneBy: step.doneBy ?? run.id }))
  // Only a slot that was named stays named: members do not meet at the time of a lone request.
  const named = run.trigger.slot === undefined ? {} : { slot: run.trigger.slot }
  const identity = identityOf(run)
  const stands = identity === undefined ? {} : { identity }
  const trigger = { kind: 'repeat' as const, of: run.id, ...named, ...stands }
  return newRun({ id, pipeline, plan, trigger, slot: run.slot, timeMs, done, terms })
}

/**
 * Whose it is, who wrote it and what it was held to stays: without its digests, a tag that has moved since would run on
 * data that trusts a digest. The key of the request stays with the first run. It waits as long as that one
 * was to, counted anew.
 */
function repeatedTerms(run: Run, timeMs: number): RunTerms {
  const { owner, author, priority, timeoutMs, waitUntilMs, inputCommits, imageDigests } = run
  return {
    ...(owner === undefined ? {} : { owner }),
    ...(author === undefined ? {} : { author }),
    ...(priority === undefined ? {} : { priority }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(waitUntilMs === undefined ? {} : { waitUntilMs: timeMs + waitUntilMs - run.createdMs }),
    ...(inputCommits === undefined ? {} : { inputCommits }),
    ...(imageDigests === undefined ? {} : { imageDigests }),
  }
}

/** False for a run that compares: its commits stand beside all branches, where a repetition would not put its own. */
export function isRepeatable({ trigger }: Pick<Run, 'trigger'>): boolean {
  return trigger.kind !== 'rerun'
}

/**
 * Ends a run that was cut as `lost`, and repeats it once: a run whose repetition was cut too is left to a person, so
 * that one that brings the node down does not do so for ever. Pure.
 *
 * @returns what to store together.
 */
export function loseRun(p: {
  run: Run
  /** The run that this one repeats, where it does. */
  repeated: Run | undefined
  repeat: boolean
  newId: () => string
  timeMs: number
  reason: string
}): Run[] {
  const { run, timeMs, reason } = p
  const lost = endRun(run, 'lost', { timeMs, reason })
  if (!p.repeat || p.repeated?.state === 'lost' || !isRepeatable(run)) return [lost]
  return [lost, repetitionOf(lost, p.newId(), timeMs)]
}

/** A step whose commit stands and which is to be published yet, with what is known of it. */
export interface Unpublished {
  readonly id: string
  readonly patch: StepPatch & { readonly outputCommit: string }
}

export interface RecoveryParts {
  readonly store: RunStore
  readonly staging: Pick<Staging, 'clear'>
  readonly datasets: Pick<Datasets, 'repository'>
  readonly monitor: Pick<Monitor, 'review'>
  readonly repeatLost: boolean
  readonly newId: () => string
  readonly clock: Clock
  readonly log: Logger
}

/** Puts things in order after a start: what a crash has cut is told truthfully, and nothing of it goes on running. */
export class Recovery {
  readonly #parts: RecoveryParts
  readonly #unpublished: Unpublished[] = []

  constructor(parts: RecoveryParts) {
    this.#parts = parts
  }

  async recover(): Promise<void> {
    const { store, staging } = this.#parts
    await staging.clear()
    for (const run of store.list()) {
      if (run.state !== 'queued' && !isEnded(run)) await this.#settle(run)
    }
  }

  /** Steps whose commit stands and which are to be published yet. */
  get unpublished(): readonly Unpublished[] {
    return this.#unpublished
  }

  async #settle(run: Run): Promise<void> {
    const { store, clock } = this.#parts
    const patch = await this.commitFound(run)
    const publishes = (run.plan[currentStep(run)]?.publish ?? []).length > 0
    if (patch !== undefined && publishes) this.#unpublished.push({ id: run.id, patch })
    else await store.save(...this.settled(patch === undefined ? run : finishStep(run, clock.now(), patch)))
  }

  /** How a run ends that was cut, and its repetition, where it has one: what to store together. */
  settled(run: Run): Run[] {
    const { store, clock, newId, repeatLost: repeat, log } = this.#parts
    const timeMs = clock.now()
    if (currentStep(run) === run.steps.length) {
      log.info({ run: run.id }, 'a run was cut after its last commit and is complete')
      return [endRun(run, 'succeeded', { timeMs, reason: 'found complete after a crash' })]
    }
    const repeated = run.trigger.kind === 'repeat' ? store.find(run.trigger.of) : undefined
    const reason = 'the node ended in the middle of the run'
    const ended = loseRun({ run, repeated, repeat, newId, timeMs, reason })
    log.warn({ run: run.id, repeatedBy: ended[1]?.id }, 'a run was lost')
    return ended
  }

  /** A crash may come between a commit and the word that it was made; the commit itself names the run. */
  async commitFound(run: Run): Promise<Unpublished['patch'] | undefined> {
    const step = run.steps[currentStep(run)]
    if (step?.state !== 'committing' || step.outputBranch === undefined) return undefined
    const { datasets, monitor, log } = this.#parts
    try {
      const repository = await datasets.repository(step.outputDataset)
      const outputCommit = await repository.resolve(step.outputBranch)
      if (outputCommit === undefined) return undefined
      const { message } = await repository.readCommit(outputCommit)
      const ours = trailerOf(message, 'Run-Id') === run.id && trailerOf(message, 'Step') === step.name
      if (!ours) return undefined
      const { name, tool, outputDataset: dataset } = step
      // The review comes after the commit, so the crash may have come before it. It writes the same again if not.
      const committed = {
        run: run.id,
        pipeline: run.pipeline,
        step: name,
        tool,
        dataset,
        commit: outputCommit,
      }
      const report = isForeign(run) ? undefined : await monitor.review({ ...committed, repository })
      const reviewed = report === undefined ? {} : { report }
      return { outputCommit, outputChanged: true, ...reviewed }
    } catch (error) {
      log.warn({ run: run.id, error: messageOf(error) }, 'whether a commit was made could not be seen')
      return undefined
    }
  }
}
