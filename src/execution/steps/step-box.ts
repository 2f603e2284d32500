/** What a step is given: its variables, its user, its limits. Pure; the engine carries it out. */

import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { Granted, Run } from '../runs/run.ts'
import type { ExecutionSettings } from '../settings.ts'

/** Nobody: owns nothing on this machine. */
const NOBODY = '65534:65534'

/** Who runs the node's process; undefined where the system has no such ids. */
export interface ProcessOwner {
  readonly uid: number | undefined
  readonly gid: number | undefined
}

/** A user of an image as numbers, neither of which is root's. */
const NUMBERED = /^([1-9]\d*)(?::([1-9]\d*))?$/

/**
 * The user of a step: never root. A node that runs as root takes the image's own user where the image says it in
 * numbers, else nobody: what a name means is said by the image itself, and may be root. Any other node takes itself,
 * since only then can it remove what the tool wrote.
 */
export function userOf(imageUser: string, owner: ProcessOwner): string {
  const isRoot = owner.uid === undefined || owner.uid === 0
  if (!isRoot) return `${owner.uid}:${owner.gid ?? owner.uid}`
  const [, uid, gid = uid] = NUMBERED.exec(imageUser) ?? []
  // An engine gives a user without a group the image's group for it, or root's.
  return uid === undefined ? NOBODY : `${uid}:${gid}`
}

/** What a step may have: what it asks for, and where it says nothing the most that this node gives (refusals.ts). */
export function grantedTo(p: {
  step: PipelineStep
  user: string
  settings: ExecutionSettings
  secrets: ReadonlyMap<string, string>
  /** Whether another member asked for the run, who then reads what its tools print. */
  foreign?: boolean
  /** What was set apart for the run; a step gets as many of the devices as it asks for. */
  devices?: readonly string[] | undefined
}): Granted {
  const { step, user, settings, devices = [] } = p
  const { resources = {} } = step
  const given = devices.slice(0, resources.gpus ?? 0)
  return {
    network: step.network ?? 'none',
    root: step.root ?? 'read-only',
    ...(given.length === 0 ? {} : { devices: given }),
    dockerSocket: step.docker_socket && settings.dockerSocketGranted,
    user,
    memoryBytes: resources.memoryBytes ?? settings.memoryBytes,
    cpus: resources.cpus ?? settings.cpus,
    pids: resources.pids ?? settings.pids,
    timeoutMs: step.timeoutMs ?? settings.stepTimeoutMs,
    outputBytes: resources.diskBytes ?? settings.outputBytes,
    // The owner's own variables may hold the owner's own tokens.
    environment: p.foreign === true ? {} : { ...settings.environment[step.tool] },
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
  /** What the layout tells the tool; the step itself may say otherwise. */
  layout?: Readonly<Record<string, string>>
}): Record<string, string> {
  const { run, step } = p
  return {
    // The image's home is on a file system that cannot be written.
    HOME: '/tmp',
    ...p.layout,
    ...step.env,
    ...Object.fromEntries(p.secrets),
    ...p.overrides,
    // A rerun does another run again: what a tool derives from the id must come out alike.
    MAO_RUN_ID: run.trigger.kind === 'rerun' ? run.trigger.of : run.id,
    MAO_PIPELINE: run.pipeline,
    MAO_STEP: step.name,
    MAO_TOOL: step.tool,
    MAO_NODE: p.node,
    MAO_SLOT: String(run.slot),
  }
}
