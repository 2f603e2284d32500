/** One container of a step, the tool's or the filter's: from its box to its end, and gone after it. */
import { stat } from 'node:fs/promises'
import { isNodeError, messageOf } from '../../base/errors.ts'
import { logDrainTimeoutMs, timerMaxMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import {
  type ContainerEnd,
  type ContainerEngine,
  type ContainerSpec,
  type EngineImage,
  type Mount,
  RUN_LABEL,
} from '../engines/engine.ts'
import type { StepLog } from '../logs/logs.ts'
import type { Granted } from '../runs/run.ts'
import { type OutputBounds, watchOutput } from './output-watch.ts'
import { type ContainerOutcome, endOfLimit, outcomeOf } from './step-end.ts'

/** Where tools look for the engine when they are granted it. */
const SOCKET_PATH = '/var/run/docker.sock'

export async function specOf(p: {
  name: string
  image: EngineImage
  command: readonly string[] | null
  granted: Granted
  environment: Readonly<Record<string, string>>
  labels: Readonly<Record<string, string>>
  mounts: readonly Mount[]
  dockerSocketPath: string
}): Promise<ContainerSpec> {
  const { name, image, command, granted, environment, labels } = p
  const mounts = [...p.mounts]
  const groups: string[] = []
  if (granted.dockerSocket) {
    mounts.push({ source: p.dockerSocketPath, target: SOCKET_PATH, readOnly: false })
    groups.push(String((await stat(p.dockerSocketPath)).gid))
  }
  const { network, user, memoryBytes, cpus, pids, outputBytes } = granted
  return {
    ...{ name, imageId: image.id, command, environment, labels, mounts, groups },
    ...{ network, user, memoryBytes, cpus, pids },
    rootReadOnly: granted.root !== 'writable',
    devices: granted.devices ?? [],
    volumes: image.volumes ?? [],
    holdsSecrets: granted.secrets.length + Object.keys(granted.environment).length > 0,
    ...(outputBytes === undefined ? {} : { outputBytesMax: outputBytes }),
  }
}

export interface ContainerRun {
  readonly engine: ContainerEngine
  readonly spec: ContainerSpec
  readonly log: StepLog
  readonly timeoutMs: number
  readonly bounds: OutputBounds
  readonly signal: AbortSignal
  /** The container is there and has not begun. */
  readonly onCreated: (containerId: string) => Promise<void>
}

export interface EndedContainer {
  readonly outcome: ContainerOutcome
  /** Resolves when nothing of the container is left, or it was noted for later; never rejects. */
  readonly removed: Promise<void>
}

export class StepContainers {
  readonly #log: Logger
  /** Containers that could not be removed because their engine had gone, and may be running yet. */
  readonly #left = new Map<string, ContainerEngine>()

  constructor(parts: { log: Logger }) {
    this.#log = parts.log
  }

  /**
   * Makes a container, runs it to its end, and begins to remove it: what is left to do with the output need not wait for
   * that.
   *
   * @throws what the engine throws, and the signal's reason when it aborts; the container is gone then.
   */
  async run(p: ContainerRun): Promise<EndedContainer> {
    const { engine, spec, bounds } = p
    // An earlier try of the step may have left one of the same name.
    await this.#removeLeft(engine)
    const containerId = await engine.create(spec, p.signal)
    try {
      await p.onCreated(containerId)
      const watch = watchOutput(bounds, this.#log)
      try {
        const limit = watch.signal
        const outcome = await runContainer({ ...p, containerId, limit })
        return { outcome, removed: this.#remove(containerId, engine) }
      } finally {
        watch.stop()
      }
    } catch (error) {
      await this.#remove(containerId, engine)
      throw error
    }
  }

  async #remove(containerId: string, engine: ContainerEngine): Promise<void> {
    if (await this.#gone(containerId, engine)) await this.#removeLeft(engine)
  }

  /**
   * Removes what an earlier try of a run has left on the engine, also a container that the engine made after nobody
   * waited for its answer any more, and whose id is known to the engine alone.
   */
  async clear(run: string, engine: ContainerEngine): Promise<void> {
    for (const id of await engine.find(RUN_LABEL, run)) await engine.remove(id)
  }

  /** Tried with each container that comes or goes there; their labels bring up the rest (runs/reaper.ts). */
  async #removeLeft(engine: ContainerEngine): Promise<void> {
    for (const [id, on] of this.#left) {
      if (on === engine && !(await this.#gone(id, engine))) return
    }
  }

  async #gone(id: string, engine: ContainerEngine): Promise<boolean> {
    try {
      await engine.remove(id)
      this.#left.delete(id)
      return true
    } catch (error) {
      this.#left.set(id, engine)
      this.#log.warn({ containerId: id, error: messageOf(error) }, 'a container was not removed')
      return false
    }
  }
}

/**
 * Starts a container and sees it to its end, which it comes to by itself, at a limit (of time, or the one that `limit`
 * tells of), or when `signal` aborts.
 *
 * @throws the signal's reason when it aborts, once the container is dead.
 */
async function runContainer(
  p: Pick<ContainerRun, 'engine' | 'log' | 'timeoutMs' | 'signal'> & {
    containerId: string
    limit: AbortSignal
  },
): Promise<ContainerOutcome> {
  const { engine, containerId, log, limit, signal } = p
  const timeoutMs = Math.min(p.timeoutMs, timerMaxMs)
  signal.throwIfAborted()
  await engine.start(containerId, (stream, bytes) => log.write(stream, bytes))
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
      await log.write('stderr', Buffer.from(`\n[the rest of the log is not readable: ${messageOf(cause)}]\n`))
    })
    signal.throwIfAborted()
    if (isNodeError(limit.reason)) return endOfLimit(limit.reason)
    return { state: 'timed-out', reason: `the step ran longer than ${timeoutMs / 1_000} s` }
  }
  return outcomeOf(end)
}
