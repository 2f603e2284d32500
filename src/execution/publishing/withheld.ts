/** What must not be published just because a step says so. Pure. */
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { Run } from '../runs/run.ts'

/**
 * The datasets that a step has to do with which not all members may have: local-only and compute-only ones, and those
 * for members with a grant. A publisher gets what was made of them only where its operator has said so.
 */
export function withheldOf(
  step: PipelineStep,
  p: {
    readonly isWithheld: (dataset: string) => boolean
    readonly findRun: (id: string) => Pick<Run, 'steps'> | undefined
  },
): string[] {
  const named = [...readsOf(step, p.findRun), step.output_dataset]
  return [...new Set(named)].filter((name) => p.isWithheld(name))
}

/** The datasets that a step reads, those in which outputs of earlier runs lie included. */
export function readsOf(
  step: PipelineStep,
  findRun: (id: string) => Pick<Run, 'steps'> | undefined,
): string[] {
  const further = (step.inputs ?? []).flatMap((input) => {
    if ('dataset' in input) return [input.dataset]
    if (!('run' in input)) return []
    return (findRun(input.run)?.steps ?? []).map(({ outputDataset }) => outputDataset)
  })
  return [...new Set([step.input_dataset, ...further].filter((name) => name !== null))]
}
