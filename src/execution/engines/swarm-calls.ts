import { Readable } from 'node:stream'
import type Docker from 'dockerode'
import { z } from 'zod'
import { NodeError } from '../../base/errors.ts'
import { containerChangeTimeoutMs, engineCallTimeoutMs, swarmPollIntervalMs } from '../../base/limits.ts'
import { delay } from '../../base/wait.ts'
import type { DockerConnection } from './docker-connection.ts'
import { isStatus } from './docker-errors.ts'
import { wasKilledByMemory } from './memory-kills.ts'
import { endedJob, JOB_API, type Task, taskSchema } from './swarm-job.ts'

/** Docker's own label on the containers of a service. */
const SERVICE_LABEL = 'com.docker.swarm.service.name'
/** The network that a job without networks is on, where the engine has it. */
const DEFAULT_BRIDGE = 'bridge'
const NANO = 1e9
/** States of a task in which nothing of it runs. */
const STILL: ReadonlySet<string> = new Set([
  'new',
  'pending',
  'complete',
  'failed',
  'rejected',
  'shutdown',
  'orphaned',
  'remove',
])

const nodeSchema = z.object({
  Spec: z.object({ Availability: z.string() }),
  Status: z.object({ State: z.string() }),
  Description: z.object({ Resources: z.object({ NanoCPUs: z.number(), MemoryBytes: z.number() }) }),
})

/** What is asked of the manager of a swarm. */
export class SwarmCalls {
  readonly #connection: DockerConnection

  constructor(connection: DockerConnection) {
    this.#connection = connection
  }

  /** What keeps jobs of this swarm from being held to their box; undefined when the manager can be seen to be fit. */
  async unfitness(): Promise<string | undefined> {
    const { ApiVersion } = await this.#call('asking for its version', (docker) => docker.version())
    if (Number(ApiVersion.split('.')[1]) < Number(JOB_API.split('.')[1])) {
      return `its API is ${ApiVersion}, and jobs came with ${JOB_API}`
    }
    const filters = { driver: ['bridge'], name: [DEFAULT_BRIDGE] }
    const networks = await this.#call('looking for networks', (docker) => docker.listNetworks({ filters }))
    if (!networks.some(({ Name }) => Name === DEFAULT_BRIDGE)) return undefined
    return 'its dockerd has a default bridge, on which a job would be (set "bridge": "none" in its daemon.json)'
  }

  /** What the machines that take tasks have together. */
  async capacity(): Promise<{ cpus: number; memoryBytes: number; machines: number }> {
    const told: unknown = await this.#call('looking at its machines', (docker) => docker.listNodes())
    const ready = z
      .array(nodeSchema)
      .parse(told)
      .filter(({ Spec, Status }) => Spec.Availability === 'active' && Status.State === 'ready')
    const resources = ready.map(({ Description }) => Description.Resources)
    const cpus = resources.reduce((sum, { NanoCPUs }) => sum + NanoCPUs / NANO, 0)
    const memoryBytes = resources.reduce((sum, { MemoryBytes }) => sum + MemoryBytes, 0)
    return { cpus, memoryBytes, machines: ready.length }
  }

  /** The name by which every machine finds exactly this image; undefined where it came from no registry. */
  async imageForAll(imageId: string): Promise<string | undefined> {
    try {
      const image = await this.#call('looking for an image', (docker) => docker.getImage(imageId).inspect())
      return image.RepoDigests?.[0]
    } catch (error) {
      if (!isStatus(error, 404)) throw error
      const message = `The image ${imageId} was removed meanwhile; run it again`
      throw new NodeError('IMAGE_NOT_FOUND', message, { image: imageId }, { cause: error })
    }
  }

  async create(options: object): Promise<void> {
    await this.#call('making a job', (docker) => docker.createService(options))
  }

  /** The tasks of a job; none when there is no such job. */
  async tasks(name: string): Promise<Task[]> {
    try {
      const filters = { service: [name] }
      const told: unknown = await this.#call('looking at a job', (docker) => docker.listTasks({ filters }))
      return z.array(taskSchema).parse(told)
    } catch (error) {
      if (isStatus(error, 404)) return []
      throw error
    }
  }

  async isDown(node: string): Promise<boolean> {
    const told: unknown = await this.#call('looking at a machine', (docker) => docker.getNode(node).inspect())
    return nodeSchema.parse(told).Status.State === 'down'
  }

  /** Ends the task of a job, wherever it runs, and resolves when it has ended. */
  async end(name: string): Promise<void> {
    try {
      const service = this.#connection.docker.getService(name)
      const { version, spec } = endedJob(await this.#call('looking at a job', () => service.inspect()))
      await this.#call('ending a job', () => service.update({ ...spec, version }))
    } catch (error) {
      if (isStatus(error, 404)) return
      throw error
    }
    const deadlineMs = performance.now() + containerChangeTimeoutMs
    for (let tasks = await this.tasks(name); tasks.some(runs); tasks = await this.tasks(name)) {
      if (performance.now() > deadlineMs) {
        throw new NodeError('ENGINE_UNAVAILABLE', `The swarm does not end the job ${name}`, { job: name })
      }
      await delay(swarmPollIntervalMs)
    }
  }

  async remove(name: string): Promise<void> {
    try {
      await this.#call('removing a job', (docker) => docker.getService(name).remove())
    } catch (error) {
      if (!isStatus(error, 404)) throw error
    }
  }

  /** Names of the jobs with this label. */
  async find(label: string, value: string): Promise<string[]> {
    try {
      const filters = { label: [`${label}=${value}`] }
      const found = await this.#call('looking for jobs', (docker) => docker.listServices({ filters }))
      return found.flatMap(({ Spec }) => (Spec?.Name === undefined ? [] : [Spec.Name]))
    } catch (error) {
      // Not a manager (any more).
      if (isStatus(error, 503) || isStatus(error, 406)) return []
      throw error
    }
  }

  /** Containers of a job on the manager's own machine. */
  async containersOf(name: string): Promise<string[]> {
    const options = { all: true, filters: { label: [`${SERVICE_LABEL}=${name}`] } }
    const found = await this.#call('looking for containers', (docker) => docker.listContainers(options))
    return found.map(({ Id }) => Id)
  }

  /** Whether the memory limit killed a process of a job that ran on the manager's own machine. */
  async wasOomKilled(name: string, heardMs: number): Promise<boolean> {
    for (const id of await this.containersOf(name)) {
      const { State } = await this.#call('asking how a job ended', (docker) =>
        docker.getContainer(id).inspect(),
      )
      if (await wasKilledByMemory(this.#connection, id, State, heardMs)) return true
    }
    return false
  }

  /** The frames of a job's output from its beginning; with `follow`, without end. */
  async logs(
    name: string,
    options: { follow: boolean; signal: AbortSignal },
  ): Promise<AsyncIterable<unknown>> {
    const { follow, signal: abortSignal } = options
    const wanted = { stdout: true, stderr: true, follow: follow as true, abortSignal }
    const answer: unknown = await this.#call('reading the log of a job', (docker) =>
      docker.getService(name).logs(wanted),
    )
    // Where it does not follow, dockerode has read all of it, which the log driver bounds.
    return Readable.from(Buffer.isBuffer(answer) ? [answer] : (answer as Readable))
  }

  #call<T>(what: string, action: (docker: Docker) => Promise<T>): Promise<T> {
    return this.#connection.call(what, engineCallTimeoutMs, action)
  }
}

function runs({ Status }: Task): boolean {
  return !STILL.has(Status.State)
}
