import type { PipelineStep } from './pipeline.ts'

/**
 * The filter of a step as the step that it is: by a name that no step can have, with its own tool, command and
 * variables, and of its step's rights none. Undefined for a step without one. Pure.
 */
export function filterStepOf(step: PipelineStep): PipelineStep | undefined {
  if (step.filter === undefined) return undefined
  const { tool, cmd, env } = step.filter
  return {
    name: `${step.name} (filter)`,
    ...{ tool, cmd, env },
    docker_socket: false,
    input_dataset: null,
    output_dataset: step.output_dataset,
    // The box is as large as that of the step, and has no way out: a filter reads what may not leave unfiltered.
    ...(step.resources === undefined ? {} : { resources: { ...step.resources, gpus: 0 } }),
    ...(step.timeoutMs === undefined ? {} : { timeoutMs: step.timeoutMs }),
  }
}
