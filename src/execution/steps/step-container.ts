import { stat } from 'node:fs/promises'
import { constants } from 'node:os'
import { type ErrorCode, isNodeError, messageOf } from '../../base/errors.ts'
import { logDrainTimeoutMs, timerMaxMs } from '../../base/limits.ts'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { ContainerEnd, ContainerEngine, ContainerSpec, EngineImage, Mount } from '../engines/engine.ts'
import type { StepLog } from '../logs/logs.ts'
import type { Granted, Run } from '../runs/run.ts'
import type { StagedStep } from './staging.ts'
import { DATA_PATH, INPUT_PATH } from './step-box.ts'

/** Where tools look for the engine when they are granted it. */
const SOCKET_PATH = '/var/run/docker.sock'
/** A shell reports death by signal n as exit code 128 + n, and so does Docker. */
const SIGNAL_BASE = 128

export type ContainerOutcome =
  | { state: 'succeeded' }
  | { state: 'failed' | 'oom-killed' | 'timed-out'; reason: string; code?: ErrorCode; exitCode?: number }

export async function specOf(p: {
  run: Run
  plan: PipelineStep
  image: EngineImage
  granted: Granted
  environment: Readonly<Record<string, string>>
  labels: Readonly<Record<string, string>>
  staged: StagedStep
  dockerSocketPath: string
}): Promise<ContainerSpec> {
  const { run, plan, image, granted, environment, labels, staged } = p
  const mounts: Mount[] = [{ source: staged.data, target: DATA_PATH, readOnly: false }]
  if (staged.input !== undefined) mounts.push({ source: staged.input, target: INPUT_PATH, readOnly: true })
  const groups: string[] = []
  if (granted.dockerSocket) {
    mounts.push({ source: p.dockerSocketPath, target: SOCKET_PATH, readOnly: false })
    groups.push(String((await stat(p.dockerSocketPath)).gid))
  }
  const { user, memoryBytes, cpus, pids } = granted
  return {
    name: `mao-${run.id}-${plan.name}`,
    imageId: image.id,
    command: plan.cmd,
    environment,
    labels,
    mounts,
    groups,
    network: 'none',
    rootReadOnly: true,
    devices: [],
    ...(granted.outputBytes === undefined ? {} : { outputBytesMax: granted.outputBytes }),
    ...{ user, memoryBytes, cpus, pids },
  }
}

/**
 * Starts a container and sees it to its end, which it comes to by itself, at a limit (of time, or the one that `limit`
 * tells of), or when `signal` aborts.
 *
 * @throws the signal's reason when it aborts, once the container is dead.
 */
export async function runContainer(p: {
  engine: ContainerEngine
  containerId: string
  stepLog: StepLog
  timeoutMs: number
  limit: AbortSignal
  signal: AbortSignal
}): Promise<ContainerOutcome> {
  const { engine, containerId, stepLog, limit, signal } = p
  const timeoutMs = Math.min(p.timeoutMs, timerMaxMs)
  signal.throwIfAborted()
  await engine.start(containerId, (stream, bytes) => stepLog.write(stream, bytes))
  const deadline = AbortSignal.timeout(timeoutMs)
  const cut = AbortSignal.any([signal, deadline, limit])
  let end: ContainerEnd
  try {
    end = await engine.wait(containerId, cut)
  } catch (error) {
    if (!cut.aborted) throw error
    await engine.kill(containerId)
    // What it printed before belongs into the log; the end itself is known already.
    await engine.wait(containerId, AbortSignal.timeout(logDrainTimeoutMs)).catch(async (cause: unknown) => {
      await stepLog.write(
        'stderr',
        Buffer.from(`\n[the rest of the log is not readable: ${messageOf(cause)}]\n`),
      )
    })
    signal.throwIfAborted()
    if (isNodeError(limit.reason))
      return { state: 'failed', reason: limit.reason.message, code: limit.reason.code }
    return { state: 'timed-out', reason: `the step ran longer than ${timeoutMs / 1_000} s` }
  }
  return outcomeOf(end)
}

/**
 * How the end of a container is told. A tool of which a process fell to the memory limit may have gone on without it
 * and even ended with 0, but what it wrote may lack a part, so that is an end by memory too. Pure.
 */
export function outcomeOf({ exitCode, oomKilled }: ContainerEnd): ContainerOutcome {
  if (oomKilled) {
    const gone = exitCode === 0 ? ', though the tool carried on without it' : ''
    const reason = `a process of the tool reached the memory limit and was killed${gone}`
    return { state: 'oom-killed', reason, exitCode }
  }
  if (exitCode === 0) return { state: 'succeeded' }
  const signal = Object.entries(constants.signals).find(([, number]) => number === exitCode - SIGNAL_BASE)
  const by = signal === undefined ? '' : ` (${signal[0]})`
  return { state: 'failed', reason: `the tool ended with exit code ${exitCode}${by}`, exitCode }
}
