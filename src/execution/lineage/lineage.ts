/**
 * Doing a run again to see whether the same comes out. A rerun begins each step's output where the first run began it,
 * takes the same images and inputs, and commits beside all branches: nothing is announced, and nothing of what members
 * see or vote on changes.
 */
import { NodeError } from '../../base/errors.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Submissions } from '../queue/submissions.ts'
import { isEnded, type Run, type StepRun } from '../runs/run.ts'
import type { RunStore } from '../runs/run-store.ts'
import { compareStep, type RunComparison, type StepComparison } from './comparison.ts'
import { rerunPlanOf } from './rerun.ts'

export interface LineageParts {
  readonly store: Pick<RunStore, 'get'>
  readonly submissions: Pick<Submissions, 'submitPlan'>
  readonly datasets: Pick<Datasets, 'repository'>
}

export class Lineage {
  readonly #parts: LineageParts

  constructor(parts: LineageParts) {
    this.#parts = parts
  }

  /**
   * Queues a run that does `id` again. @throws NodeError RUN_NOT_FOUND, CONFLICT, UNSUPPORTED, COMMIT_NOT_FOUND when
   * what the first run made is gone, QUEUE_FULL.
   */
  async rerun(id: string, options: { priority?: number; requestKey?: string } = {}): Promise<Run> {
    const { store, submissions } = this.#parts
    const run = store.get(id)
    const { steps, imageDigests, inputCommits, inputPins } = rerunPlanOf(run)
    const bases: Record<string, string | null> = {}
    for (const step of run.steps) bases[step.name] = await this.#baseOf(step)
    return submissions.submitPlan(
      { name: run.pipeline, steps, author: run.author },
      {
        ...options,
        ...{ imageDigests, inputCommits, inputPins, bases, slot: run.slot },
        trigger: { kind: 'rerun', of: id },
      },
    )
  }

  /**
   * What came out of a rerun against the run that it did again.
   *
   * @throws NodeError RUN_NOT_FOUND, INVALID_INPUT for a run that is no rerun, CONFLICT while it has not ended,
   * COMMIT_NOT_FOUND.
   */
  async compare(id: string): Promise<RunComparison> {
    const { store } = this.#parts
    const run = store.get(id)
    if (run.trigger.kind !== 'rerun') {
      const message = `Run ${id} is no rerun; "maoctl run rerun ${id}" does it again and compares`
      throw new NodeError('INVALID_INPUT', message, { id })
    }
    if (!isEnded(run)) throw new NodeError('CONFLICT', `Run ${id} has not ended yet`, { id })
    const first = store.get(run.trigger.of)
    const steps: StepComparison[] = []
    for (const [index, before] of first.steps.entries()) {
      steps.push(await this.#compareStep(before, run.steps[index]))
    }
    const { state, reason } = run
    const same = run.state === 'succeeded' && steps.every((step) => step.same)
    return { run: id, of: first.id, state, ...(reason === undefined ? {} : { reason }), same, steps }
  }

  async #compareStep(first: StepRun, second: StepRun | undefined): Promise<StepComparison> {
    const { name: step, outputDataset: dataset } = first
    const before = await this.#read(dataset, first.outputCommit)
    if (before === undefined) throw new NodeError('CONFLICT', `The step ${step} had committed nothing`)
    return compareStep({ step, dataset, before, after: await this.#read(dataset, second?.outputCommit) })
  }

  async #read(dataset: string, commit: string | undefined) {
    if (commit === undefined) return undefined
    const repository = await this.#parts.datasets.repository(dataset)
    const { tree } = await repository.readCommit(commit)
    return { commit, tree, files: await repository.listFiles(commit) }
  }

  /** Where the branch stood before the step; null where it was not there. */
  async #baseOf({ outputDataset, outputCommit = '', outputChanged }: StepRun): Promise<string | null> {
    if (outputChanged === false) return outputCommit
    const repository = await this.#parts.datasets.repository(outputDataset)
    return (await repository.readCommit(outputCommit)).parents[0] ?? null
  }
}
