/** What must not be published just because a step says so. Pure. */
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { Run } from '../runs/run.ts'

/**
 * The datasets that a step has to do with whose data stay where they are: local-only and compute-only ones. A publisher
 * gets what was made of them only where its operator has said so.
 */
export function withheldOf(
  step: PipelineStep,
  p: {
    readonly isWithheld: (dataset: string) => boolean
    readonly findRun: (id: string) => Pick<Run, 'steps'> | undefined
  },
): string[] {
  const further = (step.inputs ?? []).flatMap((input) => {
    if ('dataset' in input) return [input.dataset]
    if (!('run' in input)) return []
    return (p.findRun(input.run)?.steps ?? []).map(({ outputDataset }) => outputDataset)
  })
  const named = [step.input_dataset, step.output_dataset, ...further].filter((name) => name !== null)
  return [...new Set(named)].filter((name) => p.isWithheld(name))
}
