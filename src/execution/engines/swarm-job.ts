/**
 * A step as a job of a swarm: one task, tried once. Pure.
 *
 * Seen on Docker 20.10 (API 1.41), which is the first to have jobs: a job holds a step to its processors, memory,
 * processes, user, read-only root and dropped capabilities. It knows neither `no-new-privileges` (before API 1.44), nor
 * memory without swap, nor the network `none`: those have to be so on the machines, for which the operator vouches
 * (`swarmGuarded`). Devices, groups, secrets and further networks are not for jobs; such steps run on the manager itself.
 */
import type Docker from 'dockerode'
import { z } from 'zod'
import { stepLogBytesMax, toolTmpBytesMax } from '../../base/limits.ts'
import { environmentLines, nanoCpus } from './docker-options.ts'
import type { ContainerSpec } from './engine.ts'
import { volumeMounts } from './image-volumes.ts'

/** The first API with jobs. */
export const JOB_API = '1.41'
/** Ids of jobs among those of containers. */
const JOB_PREFIX = 'swarm:'
/** No machine has it: the tasks of a job that asks for it are ended, and no new one begins. */
const NOWHERE = 'node.id==nowhere'
/**
 * Logs of a job lie on its machine until it is removed; kept are several times what a log takes. So much is in one file,
 * since Docker may tell a part twice to who follows a log from one file to the next.
 */
const LOG_FILE_BYTES = 4 * stepLogBytesMax
const LOG_FILES = 2
const MODE_TMP = 0o1777

export const jobId = (name: string) => `${JOB_PREFIX}${name}`

/** The name of the service; undefined for the id of a container. */
export function jobName(id: string): string | undefined {
  return id.startsWith(JOB_PREFIX) ? id.slice(JOB_PREFIX.length) : undefined
}

/** Why a step is no job, but a container on the manager's machine. */
export function whyNoJob(spec: ContainerSpec): string | undefined {
  if (spec.network !== 'none') return `its network is ${spec.network}`
  if (spec.devices.length > 0) return 'it is given devices'
  if (spec.groups.length > 0) return "it is given the engine's socket"
  // All managers keep what a service is given, and its machine keeps what it prints, as it is.
  if (spec.holdsSecrets === true) return 'it is given secrets'
  return undefined
}

/** @param node the one machine on which it may run; undefined for any. */
export function jobOptions(spec: ContainerSpec, image: string, node: string | undefined): object {
  return {
    Name: spec.name,
    Labels: { ...spec.labels },
    Mode: { ReplicatedJob: { MaxConcurrent: 1, TotalCompletions: 1 } },
    TaskTemplate: {
      ContainerSpec: {
        Image: image,
        Labels: { ...spec.labels },
        // The words of a container's command are the arguments of a job.
        ...(spec.command === null ? {} : { Args: [...spec.command] }),
        Env: environmentLines(spec),
        User: spec.user,
        ReadOnly: spec.rootReadOnly,
        CapabilityDrop: ['ALL'],
        Privileges: { NoNewPrivileges: true },
        StopSignal: 'SIGKILL',
        Mounts: [
          ...spec.mounts.map(({ source, target, readOnly }) => ({
            Type: 'bind',
            Source: source,
            Target: target,
            ReadOnly: readOnly,
            BindOptions: { Propagation: 'rprivate' },
          })),
          ...volumeMounts(spec),
          {
            Type: 'tmpfs',
            Target: '/tmp',
            TmpfsOptions: { SizeBytes: toolTmpBytesMax, Mode: MODE_TMP },
          },
        ],
      },
      Resources: {
        Limits: { MemoryBytes: spec.memoryBytes, NanoCPUs: nanoCpus(spec), Pids: spec.pids },
        // Kept free by the swarm, so that steps do not meet on one machine.
        Reservations: { MemoryBytes: spec.memoryBytes, NanoCPUs: nanoCpus(spec) },
      },
      RestartPolicy: { Condition: 'none', MaxAttempts: 0 },
      LogDriver: {
        Name: 'local',
        Options: { 'max-size': `${LOG_FILE_BYTES}`, 'max-file': `${LOG_FILES}`, compress: 'false' },
      },
      ...(node === undefined ? {} : { Placement: { Constraints: [`node.id==${node}`] } }),
    },
  }
}

const serviceSchema = z.looseObject({
  ID: z.string(),
  Version: z.object({ Index: z.number() }),
  Spec: z.looseObject({ TaskTemplate: z.looseObject({}) }),
})

/** The same service such that its task ends: what a swarm does not do when the service is merely removed. */
export function endedJob(service: Docker.Service | unknown): { id: string; version: number; spec: object } {
  const { ID: id, Version, Spec } = serviceSchema.parse(service)
  const TaskTemplate = { ...Spec.TaskTemplate, Placement: { Constraints: [NOWHERE] } }
  return { id, version: Version.Index, spec: { ...Spec, TaskTemplate } }
}

export const taskSchema = z.object({
  ID: z.string(),
  NodeID: z.string().default(''),
  DesiredState: z.string(),
  Status: z.object({
    State: z.string(),
    Err: z.string().default(''),
    Message: z.string().default(''),
    ContainerStatus: z
      .object({ ContainerID: z.string().default(''), ExitCode: z.number().default(0) })
      .partial()
      .nullish(),
  }),
})
export type Task = z.output<typeof taskSchema>

export type JobState =
  | { state: 'waiting'; why: string }
  | { state: 'running' }
  | { state: 'ended'; exitCode: number }
  | { state: 'not-started'; why: string }
  /** The swarm gave it up; whether it runs yet somewhere is not known. */
  | { state: 'gone'; why: string }

const BEFORE: ReadonlySet<string> = new Set([
  'new',
  'pending',
  'assigned',
  'accepted',
  'preparing',
  'ready',
  'starting',
])

/** How a job stands by its one task. */
export function jobState({ Status }: Task): JobState {
  const { State: state, Err: said, Message: message, ContainerStatus: container } = Status
  if (BEFORE.has(state)) return { state: 'waiting', why: said || message || state }
  if (state === 'running') return { state: 'running' }
  if (state === 'complete') return { state: 'ended', exitCode: container?.ExitCode ?? 0 }
  if (state === 'rejected') return { state: 'not-started', why: said }
  if (state === 'failed') {
    const didStart = /^task: non-zero exit \(\d+\)/.test(said)
    return didStart
      ? { state: 'ended', exitCode: container?.ExitCode ?? 1 }
      : { state: 'not-started', why: said }
  }
  return { state: 'gone', why: said || message || state }
}
