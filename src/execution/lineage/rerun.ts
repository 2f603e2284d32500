import { NodeError } from '../../base/errors.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import { pinsOf } from '../inputs/input-pins.ts'
import { type InputPin, isEnded, type Run } from '../runs/run.ts'
import { isForeign } from '../steps/refusals.ts'

/** What a rerun is pinned to: everything that the first run took from outside. */
export interface RerunPlan {
  readonly steps: PipelineStep[]
  /** Step → what its further inputs were. Beside the plan, which stays word for word what was approved. */
  readonly inputPins: Record<string, InputPin[]>
  /** Tool → digest, filters' tools among them. */
  readonly imageDigests: Record<string, string>
  /** Dataset → commit, of what was read as ground truth. */
  readonly inputCommits: Record<string, string>
}

/**
 * What it takes to do a run again exactly: the same images, input commits, further inputs and variables. A step that
 * read what an earlier step of the run made, reads what the rerun's makes. Pure.
 *
 * @throws NodeError CONFLICT for a run of another member, for one that has not ended, or of which not every step has committed, with the reason;
 * UNSUPPORTED for one that read one dataset at two commits.
 */
export function rerunPlanOf(run: Run): RerunPlan {
  const refuse = (why: string) => new NodeError('CONFLICT', `Run ${run.id} ${why}`, { id: run.id })
  if (isForeign(run)) throw refuse('was asked for by another member, which alone can have it done again')
  if (!isEnded(run)) throw refuse('has not ended; wait for it, or cancel it')
  if (run.trigger.kind === 'rerun') {
    throw refuse(`is a rerun itself; run ${run.trigger.of} again, of which it is one`)
  }
  const imageDigests: Record<string, string> = {}
  const inputCommits: Record<string, string> = {}
  for (const step of run.steps) {
    if (step.outputCommit === undefined || step.digest === undefined) {
      throw refuse(`has nothing to compare with at the step ${step.name}, which is ${step.state}`)
    }
    pin(imageDigests, step.tool, step.digest, run)
    if (step.filter !== undefined) pin(imageDigests, step.filter.tool, step.filter.digest, run)
    const read = step.inputFrom === 'this-run' ? undefined : step.inputCommit
    if (step.inputDataset !== undefined && read !== undefined) pin(inputCommits, step.inputDataset, read, run)
  }
  const inputPins: Record<string, InputPin[]> = {}
  for (const [index, { name, inputs = [] }] of run.steps.entries()) {
    const made = new Set(run.steps.slice(0, index).map(({ outputDataset }) => outputDataset))
    // What the run made for itself is made anew; a commit that the plan itself names is named there.
    inputPins[name] = pinsOf(inputs, (dataset) => made.has(dataset))
  }
  return { steps: run.plan, imageDigests, inputCommits, inputPins }
}

/** Two steps of one run can meet a dataset, or a tag, on both sides of a change. */
function pin(pins: Record<string, string>, name: string, value: string, run: Run): void {
  const before = pins[name]
  if (before !== undefined && before !== value) {
    const message = `Run ${run.id} used ${name} as ${before} and as ${value}: it changed in the middle of the run, so no rerun can be exact`
    throw new NodeError('UNSUPPORTED', message, { id: run.id, name })
  }
  pins[name] = value
}
