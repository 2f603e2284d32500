/**
 * What of a run this node's settings rule out. All of it is known before anything is done, and is told then, with the
 * name of the setting that says so. Pure.
 */
import { NodeError } from '../../base/errors.ts'
import { stepFor } from '../../datasets/branches.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { Run } from '../runs/run.ts'
import { privateVariables } from '../secrets/secrets.ts'
import type { ExecutionSettings } from '../settings.ts'

export type BoxSettings = Pick<
  ExecutionSettings,
  | 'cpus'
  | 'memoryBytes'
  | 'pids'
  | 'outputBytes'
  | 'stepTimeoutMs'
  | 'runTimeoutMs'
  | 'hostNetworkGranted'
  | 'writableRootGranted'
  | 'dockerSocketGranted'
>

/** The first thing that a step asks for and this node does not give. */
export function stepRefusal(step: PipelineStep, settings: BoxSettings): NodeError | undefined {
  const { name, resources = {} } = step
  const refuse = (asks: string, setting: keyof BoxSettings) => {
    const message = `The step ${name} asks for ${asks} (setting execution.${setting})`
    return new NodeError('FORBIDDEN', message, { step: name, setting: `execution.${setting}` })
  }
  if (step.docker_socket && !settings.dockerSocketGranted)
    return refuse(
      'the Docker socket, with which it would own this machine, and this node does not grant it',
      'dockerSocketGranted',
    )
  if (step.network === 'host' && !settings.hostNetworkGranted)
    return refuse("the machine's own network, and this node does not grant it", 'hostNetworkGranted')
  if (step.root === 'writable' && !settings.writableRootGranted)
    return refuse(
      'a root file system that it can write, and this node does not grant it',
      'writableRootGranted',
    )
  const bounds = [
    ['cpus', resources.cpus, 'processors', 'cpus'],
    ['memoryBytes', resources.memoryBytes, 'bytes of memory', 'memoryBytes'],
    ['pids', resources.pids, 'processes', 'pids'],
    ['outputBytes', resources.diskBytes, 'bytes of output', 'outputBytes'],
    ['stepTimeoutMs', step.timeoutMs, 'ms of time', 'stepTimeoutMs'],
  ] as const
  for (const [key, asked, unit, setting] of bounds) {
    const most = settings[key]
    if (asked !== undefined && asked > most)
      return refuse(`${asked} ${unit}, and this node gives a step at most ${most}`, setting)
  }
  return undefined
}

/** The first thing that a run, or one of its steps, asks for and this node does not give. */
export function runRefusal(
  run: Pick<Run, 'plan' | 'timeoutMs' | 'owner'>,
  settings: BoxSettings,
): NodeError | undefined {
  const { runTimeoutMs } = settings
  if (run.timeoutMs !== undefined && run.timeoutMs > runTimeoutMs) {
    const message = `The run asks for ${run.timeoutMs} ms of time, and this node gives a run at most ${runTimeoutMs} (setting execution.runTimeoutMs)`
    return new NodeError('FORBIDDEN', message, { setting: 'execution.runTimeoutMs' })
  }
  const foreign = isForeign(run)
  return run.plan
    .map((step) => (foreign ? foreignRefusal(step) : undefined) ?? stepRefusal(step, settings))
    .find((refusal) => refusal !== undefined)
}

/** Whether another member asked for the run. */
export function isForeign({ owner }: Pick<Run, 'owner'>): boolean {
  return owner !== undefined && owner !== 'node'
}

/** Under which name a run keeps what a step of it puts out: the step's, but for what another member asked for. */
export function outputStepOf(run: Pick<Run, 'owner'>, step: string): string {
  return run.owner === undefined || !isForeign(run) ? step : stepFor(run.owner, step)
}

/** What no other member's run gets here, whatever this node grants to its own people. */
function foreignRefusal(step: PipelineStep): NodeError | undefined {
  const asked = [
    [step.docker_socket, 'the Docker socket'],
    [step.network !== undefined && step.network !== 'none', `the network ${step.network}`],
    [step.root === 'writable', 'a root file system that it can write'],
    [privateVariables(step).length > 0, "this node's secrets"],
    [privateVariables({ env: step.filter?.env ?? null }).length > 0, "this node's secrets for its filter"],
  ] as const
  const what = asked.find(([is]) => is)?.[1]
  if (what === undefined) return undefined
  const message = `The step ${step.name} asks for ${what}, which no run of another member gets`
  return new NodeError('FORBIDDEN', message, { step: step.name })
}
