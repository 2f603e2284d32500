/** What a step is given: its variables, its user, its limits. Pure; the engine carries it out. */

import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { Granted, Run } from '../runs/run.ts'
import type { ExecutionSettings } from '../settings.ts'

export const INPUT_PATH = '/usr/src/app/input'
export const DATA_PATH = '/usr/src/app/data'
/** Nobody: owns nothing on this machine. */
const NOBODY = '65534:65534'

/** Who runs the node's process; undefined where the system has no such ids. */
export interface ProcessOwner {
  readonly uid: number | undefined
  readonly gid: number | undefined
}

/**
 * The user of a step: never root. A node that runs as root takes the image's own user, else nobody. Any other node
 * takes itself, since only then can it remove what the tool wrote.
 */
export function userOf(imageUser: string, owner: ProcessOwner): string {
  const isRoot = owner.uid === undefined || owner.uid === 0
  if (!isRoot) return `${owner.uid}:${owner.gid ?? owner.uid}`
  const [name = ''] = imageUser.split(':')
  return name === '' || name === 'root' || /^0+$/.test(name) ? NOBODY : imageUser
}

export function grantedTo(p: {
  step: PipelineStep
  user: string
  settings: ExecutionSettings
  secrets: ReadonlyMap<string, string>
}): Granted {
  const { step, user, settings } = p
  return {
    network: 'none',
    dockerSocket: step.docker_socket && settings.dockerSocketGranted,
    user,
    memoryBytes: settings.memoryBytes,
    cpus: settings.cpus,
    pids: settings.pids,
    timeoutMs: settings.stepTimeoutMs,
    outputBytes: settings.outputBytes,
    environment: { ...settings.environment[step.tool] },
    secrets: [...p.secrets.keys()].sort(),
  }
}

/**
 * The variables of a step. Those that begin with MAO_ tell of the run and cannot be overridden: what a tool derives
 * from them, such as file names that all members share, must be true.
 */
export function environmentOf(p: {
  run: Run
  step: PipelineStep
  node: string
  secrets: ReadonlyMap<string, string>
  overrides: Readonly<Record<string, string>>
}): Record<string, string> {
  const { run, step } = p
  return {
    // The image's home is on a file system that cannot be written.
    HOME: '/tmp',
    ...step.env,
    ...Object.fromEntries(p.secrets),
    ...p.overrides,
    MAO_RUN_ID: run.id,
    MAO_PIPELINE: run.pipeline,
    MAO_STEP: step.name,
    MAO_TOOL: step.tool,
    MAO_NODE: p.node,
    MAO_SLOT: String(run.slot),
  }
}
