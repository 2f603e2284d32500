/** What steps ask of a node beyond a box without rights, in words for whoever is to agree. Pure. */
import { type PipelineStep, SECRET_PLACEHOLDER } from '../execution/catalogue/pipeline.ts'

export function asksOf(steps: readonly PipelineStep[]): string[] {
  return steps.flatMap((step) => {
    const secrets = [...Object.entries(step.env ?? {}), ...Object.entries(step.filter?.env ?? {})]
      .filter(([, value]) => SECRET_PLACEHOLDER.test(value))
      .map(([variable]) => `the secret ${variable}`)
    const { publish = [] } = step
    const rights = [
      ...(step.docker_socket ? ['the Docker socket, and with it this machine'] : []),
      ...(step.network === undefined || step.network === 'none' ? [] : [`the network (${step.network})`]),
      ...(step.root === 'writable' ? ['to change all files of its container (root: writable)'] : []),
      ...(publish.length === 0 ? [] : [`to publish its results through ${publish.join(', ')}`]),
      ...secrets,
    ]
    return rights.map((right) => `step ${step.name}: ${right}`)
  })
}
