/**
 * An engine that is an active manager of a swarm: a step runs as a job on whichever machine of it has room, so that a
 * site that outgrows a machine adds machines. What a job cannot be held to is not loosened: such steps, and all steps
 * where the operator does not vouch for the machines, run in a container on the manager itself.
 *
 * The directories of a step are mounted by their paths, so machines beside the manager's are used where the node's data
 * directory is shared with them. That a process fell to the memory limit is seen on the manager's machine alone.
 */

import { isNodeError, NodeError } from '../../base/errors.ts'
import {
  engineMissesMax,
  swarmPlaceTimeoutMs,
  swarmPollIntervalMs,
  swarmStartLookMs,
} from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { delay } from '../../base/wait.ts'
import type { ImageStore } from '../images/image-store.ts'
import type { DockerConnection } from './docker-connection.ts'
import type { DockerEngine } from './docker-engine.ts'
import type {
  ContainerEnd,
  ContainerEngine,
  ContainerSpec,
  EngineImage,
  NetworkMode,
  OnOutput,
} from './engine.ts'
import type { EngineFacts } from './engine-facts.ts'
import { KILLED } from './memory-kills.ts'
import type { EngineSettings } from './settings.ts'
import { SwarmCalls } from './swarm-calls.ts'
import { type JobState, jobId, jobName, jobOptions, jobState, whyNoJob } from './swarm-job.ts'
import { SwarmLog } from './swarm-log.ts'

export interface SwarmEngineParts {
  readonly docker: DockerEngine
  readonly connection: DockerConnection
  readonly settings: Pick<EngineSettings, 'sharedDirectory' | 'swarmGuarded'>
  readonly log: Logger
}

/** A job between its making and its removal. */
interface Job {
  readonly spec: ContainerSpec
  readonly image: string
  readonly node: string | undefined
  log?: SwarmLog
  startedMs?: number
  killing?: 'under way' | 'done'
}

export class SwarmEngine implements ContainerEngine {
  readonly sharesFiles: boolean
  readonly images: ImageStore
  readonly #parts: SwarmEngineParts
  readonly #calls: SwarmCalls
  readonly #jobs = new Map<string, Job>()

  constructor(parts: SwarmEngineParts) {
    this.#parts = parts
    this.#calls = new SwarmCalls(parts.connection)
    this.sharesFiles = parts.docker.sharesFiles
    this.images = parts.docker.images
  }

  ping(): Promise<void> {
    return this.#parts.docker.ping()
  }

  checkNetwork(network: NetworkMode): Promise<void> {
    return this.#parts.docker.checkNetwork(network)
  }

  image(reference: string, signal: AbortSignal): Promise<EngineImage> {
    return this.#parts.docker.image(reference, signal)
  }

  async facts(): Promise<EngineFacts> {
    const facts = await this.#parts.docker.facts()
    if (facts.swarm === undefined) return facts
    const why = this.#unvouched() ?? (await this.#calls.unfitness())
    if (why !== undefined) {
      return { ...facts, note: `it manages a swarm, but steps run on its own machine alone: ${why}` }
    }
    if (this.#parts.settings.sharedDirectory !== true) return { ...facts, kind: 'swarm' }
    return { ...facts, kind: 'swarm', ...(await this.#calls.capacity()) }
  }

  async create(spec: ContainerSpec, signal?: AbortSignal): Promise<string> {
    const { docker, settings } = this.#parts
    const why = whyNoJob(spec) ?? this.#unvouched()
    const swarm = why === undefined ? (await docker.facts()).swarm : undefined
    if (swarm === undefined || (await this.#calls.unfitness()) !== undefined) {
      return docker.create(spec, signal)
    }
    const everywhere = await this.#calls.imageForAll(spec.imageId)
    // An image without a registry, and directories that are not shared, are on the manager's machine alone.
    const isFree = everywhere !== undefined && settings.sharedDirectory === true
    const node = isFree ? undefined : swarm.node
    this.#jobs.set(spec.name, { spec, image: isFree ? everywhere : spec.imageId, node })
    return jobId(spec.name)
  }

  async start(id: string, onOutput: OnOutput): Promise<void> {
    const name = jobName(id)
    if (name === undefined) return this.#parts.docker.start(id, onOutput)
    const job = this.#need(name)
    await this.#calls.create(jobOptions(job.spec, job.image, job.node))
    job.startedMs = performance.now()
    job.log = new SwarmLog(this.#calls, name, onOutput)
    job.log.follow()
    // A command that does not start is told at once; a job that waits for room is waited for elsewhere.
    const until = performance.now() + swarmStartLookMs
    for (let state = await this.#state(name); performance.now() < until; state = await this.#state(name)) {
      if (state.state === 'not-started') throw notStarted(state.why, id)
      if (state.state !== 'waiting') return
      await delay(swarmPollIntervalMs)
    }
  }

  async wait(id: string, signal: AbortSignal): Promise<ContainerEnd> {
    const name = jobName(id)
    if (name === undefined) return this.#parts.docker.wait(id, signal)
    const job = this.#need(name)
    for (let misses = 0; ; await delay(swarmPollIntervalMs, signal)) {
      signal.throwIfAborted()
      if (job.killing === 'done') return { exitCode: KILLED, oomKilled: false }
      let state: JobState
      try {
        state = await this.#state(name)
        misses = 0
      } catch (error) {
        misses += 1
        if (job.killing === undefined && (isGone(error) || misses >= engineMissesMax)) throw error
        continue
      }
      // How the swarm ends it is not how it ended.
      if (job.killing !== undefined) continue
      if (state.state === 'ended') return this.#end(name, job, state.exitCode)
      if (state.state === 'not-started') throw notStarted(state.why, id)
      if (state.state === 'gone') throw gone(state.why, id)
      const waitedMs = Math.round(performance.now() - (job.startedMs ?? 0))
      if (state.state === 'waiting' && waitedMs > swarmPlaceTimeoutMs) {
        throw gone(`it found no machine for ${waitedMs} ms (${state.why})`, id)
      }
    }
  }

  async kill(id: string): Promise<void> {
    const name = jobName(id)
    if (name === undefined) return this.#parts.docker.kill(id)
    const job = this.#jobs.get(name)
    if (job === undefined) return this.#calls.end(name)
    job.killing = 'under way'
    try {
      await this.#calls.end(name)
      // What it printed until now has been heard, as far as it has come; the rest goes with the container.
      await job.log?.stop()
      job.killing = 'done'
    } catch (error) {
      delete job.killing
      throw error
    }
  }

  async remove(id: string): Promise<void> {
    const name = jobName(id)
    if (name === undefined) return this.#parts.docker.remove(id)
    await this.#jobs.get(name)?.log?.stop()
    await this.#calls.end(name)
    await this.#calls.remove(name)
    for (const container of await this.#calls.containersOf(name)) await this.#parts.docker.remove(container)
    this.#jobs.delete(name)
  }

  async find(label: string, value: string): Promise<string[]> {
    const names = await this.#calls.find(label, value)
    const ofJobs = (await Promise.all(names.map((name) => this.#calls.containersOf(name)))).flat()
    const containers = await this.#parts.docker.find(label, value)
    return [...names.map(jobId), ...containers.filter((container) => !ofJobs.includes(container))]
  }

  /** Why steps are no jobs here, by what the operator says; undefined where they may be. */
  #unvouched(): string | undefined {
    if (!this.#parts.settings.swarmGuarded) {
      return 'a job is not held to its box by the swarm itself, and the operator does not vouch for its machines (setting swarmGuarded of the engine)'
    }
    if (!this.sharesFiles) return "it does not see this node's files (setting sharedDirectory of the engine)"
    return undefined
  }

  async #state(name: string): Promise<JobState> {
    const tasks = await this.#calls.tasks(name)
    if (tasks.length > 1) {
      throw gone(`the swarm began it ${tasks.length} times`, jobId(name))
    }
    const [task] = tasks
    if (task === undefined) return { state: 'waiting', why: 'it has no task yet' }
    const state = jobState(task)
    const isLost = state.state === 'running' && (await this.#calls.isDown(task.NodeID))
    return isLost ? { state: 'gone', why: `its machine ${task.NodeID} is down` } : state
  }

  async #end(name: string, job: Job, exitCode: number): Promise<ContainerEnd> {
    const endedMs = performance.now()
    await job.log?.finish()
    return { exitCode, oomKilled: await this.#calls.wasOomKilled(name, endedMs) }
  }

  #need(name: string): Job {
    const job = this.#jobs.get(name)
    if (job !== undefined) return job
    throw new NodeError('ENGINE_UNAVAILABLE', `This node does not know the job ${name} (any more)`, {
      job: name,
    })
  }
}

function notStarted(why: string, id: string): NodeError {
  const isImage = /no such image/i.test(why)
  const message = isImage
    ? `The machine of the swarm has not the image: ${why}`
    : `The command does not start: ${why}`
  return new NodeError(isImage ? 'IMAGE_NOT_FOUND' : 'INVALID_INPUT', message, { container: id })
}

function isGone(error: unknown): boolean {
  return !isNodeError(error, 'ENGINE_UNAVAILABLE') || 'job' in error.data
}

function gone(why: string, id: string): NodeError {
  return new NodeError('ENGINE_UNAVAILABLE', `The swarm lost the job: ${why}`, { job: id })
}
