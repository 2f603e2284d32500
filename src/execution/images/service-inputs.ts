/** Whether a step gives a service what its labels ask for. Pure. */
import { nearestName } from '../../base/nearest-name.ts'
import type { StepInput } from '../catalogue/step-input.ts'
import type { ServiceDescription, ServiceInput } from './service.ts'

/** What is looked at of a step. */
export interface ServiceStep {
  readonly inputs?: readonly StepInput[] | undefined
  readonly layout?: string | undefined
}

/** How an input of each type is written in a pipeline. */
const WRITTEN: Record<ServiceInput['type'], string> = {
  url: 'url: https://… (or dataset, pid or run)',
  string: 'text: …',
}

/**
 * Everything that is wrong with the inputs of a step that runs the service: each input of the service has to be given
 * once, by its name and in its type, and nothing else. Empty where all is well.
 */
export function checkServiceInputs(
  service: Pick<ServiceDescription, 'name' | 'version' | 'inputs'>,
  step: ServiceStep,
): string[] {
  const of = `the service ${service.name} ${service.version}`
  const problems: string[] = []
  if (step.layout !== undefined) {
    problems.push(`${of} says by its labels where its files are, so that the step names no layout`)
  }
  const known = service.inputs.map(({ name }) => name)
  const given = new Set<string>()
  for (const [index, input] of (step.inputs ?? []).entries()) {
    if (input.name === undefined) {
      problems.push(`inputs.${index} has no name; the inputs of ${of} are ${listed(known)}`)
      continue
    }
    const wanted = service.inputs.find(({ name }) => name === input.name)
    if (wanted === undefined) {
      const near = nearestName(input.name, known)
      const guess = near === undefined ? `it has ${listed(known)}` : `did you mean "${near}"?`
      problems.push(`${of} has no input "${input.name}"; ${guess}`)
    } else if (given.has(input.name)) problems.push(`the input "${input.name}" is given twice`)
    else if (('text' in input ? 'string' : 'url') !== wanted.type) {
      const { name, type } = wanted
      problems.push(`the input "${name}" is of type ${type}; write {name: "${name}", ${WRITTEN[type]}}`)
    }
    given.add(input.name)
  }
  for (const { name, type } of service.inputs) {
    if (given.has(name)) continue
    problems.push(`the input "${name}" of ${of} is not given; add {name: "${name}", ${WRITTEN[type]}}`)
  }
  return problems
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.map((name) => `"${name}"`).join(', ')
}
