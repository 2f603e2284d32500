/** What one room asks of another that it may not know: small adapters that the composition root hands over. */
import type { RunSource } from './consensus/scheduled-outputs.ts'
import type { Execution } from './execution/execution.ts'
import { isEnded } from './execution/runs/run.ts'

/** Runs as consensus looks at them: whose results go into a round, the schedule says. */
export function scheduledRuns(execution: Execution): RunSource {
  return {
    runs: () => execution.runs(),
    onRun: (heard) => execution.onRun(heard),
    roundOf: (pipeline) => execution.schedules.get(pipeline)?.value.round,
  }
}

/** A run that is at work with a dataset, for people. */
export function runOn(execution: Execution, dataset: string): string | undefined {
  const atWork = execution.runs().find((run) => {
    if (run.state === 'queued' || isEnded(run)) return false
    return run.steps.some((step) => step.inputDataset === dataset || step.outputDataset === dataset)
  })
  return atWork === undefined ? undefined : `run ${atWork.id}`
}
