/**
 * Steps in containers of a local Docker engine. The box is closed by default: no capability, no way to gain one, no
 * network, a root file system that cannot be written, bounded memory (without swap), processes and processors. Docker
 * keeps no log of its own, since it would hold what a tool prints on the machine, secrets included. Containers are
 * removed by us and never by Docker, whose own removal races with the question how they ended.
 */
import { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import Docker from 'dockerode'
import { messageOf, NodeError } from '../../base/errors.ts'
import {
  containerChangeTimeoutMs,
  engineCallTimeoutMs,
  enginePingTimeoutMs,
  logDrainTimeoutMs,
  toolTmpBytesMax,
} from '../../base/limits.ts'
import { withDeadline } from '../../base/wait.ts'
import { DockerImageStore } from '../images/docker-image-store.ts'
import type { ImageStore } from '../images/image-store.ts'
import { Demultiplexer } from './demultiplexer.ts'
import { engineError, isStatus, statusOf } from './docker-errors.ts'
import type {
  ContainerEnd,
  ContainerEngine,
  ContainerSpec,
  EngineImage,
  NetworkMode,
  OnOutput,
} from './engine.ts'

const NANO = 1e9
const NVIDIA = 'nvidia:'

export class DockerEngine implements ContainerEngine {
  readonly sharesFiles = true
  readonly images: ImageStore
  readonly #docker: Docker
  readonly #socketPath: string
  /** What is still being read of each started container. */
  readonly #outputs = new Map<string, Promise<void>>()

  constructor(parts: { socketPath: string }) {
    this.#socketPath = parts.socketPath
    this.#docker = new Docker({ socketPath: parts.socketPath })
    this.images = new DockerImageStore({ docker: this.#docker, place: parts.socketPath })
  }

  async ping(): Promise<void> {
    await this.#call('asking whether it is there', enginePingTimeoutMs, () => this.#docker.ping())
  }

  async checkNetwork(network: NetworkMode): Promise<void> {
    if (network !== 'bridge') return
    const message =
      'This engine has no bridge whose neighbours are kept out of reach; run the step without a network'
    throw new NodeError('FORBIDDEN', message, { network })
  }

  async image(reference: string, signal: AbortSignal): Promise<EngineImage> {
    if ((await this.images.inspect(reference)) === undefined) await this.images.pull(reference, { signal })
    const found = await this.images.inspect(reference)
    if (found === undefined) throw imageNotFound(reference, 'it was pulled and then not there')
    const { digest, id, user } = found
    return { digest, id, user }
  }

  async create(spec: ContainerSpec): Promise<string> {
    await this.checkNetwork(spec.network)
    try {
      const container = await this.#call('making a container', containerChangeTimeoutMs, () =>
        this.#docker.createContainer(optionsOf(spec)),
      )
      return container.id
    } catch (error) {
      if (!isStatus(error, 404)) throw error
      throw imageNotFound(spec.imageId, 'it was removed meanwhile')
    }
  }

  async start(id: string, onOutput: OnOutput): Promise<void> {
    const container = this.#docker.getContainer(id)
    const attach = { stream: true, stdout: true, stderr: true }
    // Attached before it starts, so that the first word is not lost.
    const stream = await this.#call('attaching', engineCallTimeoutMs, () => container.attach(attach))
    const output = pump(stream, onOutput)
    // Whoever waits for the container hears of a failure; until then it must not count as unhandled.
    output.catch(() => undefined)
    this.#outputs.set(id, output)
    try {
      await this.#call('starting a container', containerChangeTimeoutMs, () => container.start())
    } catch (error) {
      this.#outputs.delete(id)
      if (statusOf(error) === undefined) throw error
      throw new NodeError('INVALID_INPUT', `The command does not start: ${messageOf(error)}`, {
        container: id,
      })
    }
  }

  async wait(id: string, signal: AbortSignal): Promise<ContainerEnd> {
    const container = this.#docker.getContainer(id)
    try {
      await text(await this.#waitingFor(id, signal))
    } catch (cause) {
      signal.throwIfAborted()
      throw engineError(cause, this.#socketPath)
    }
    try {
      await withDeadline(
        this.#outputs.get(id) ?? Promise.resolve(),
        logDrainTimeoutMs,
        'Reading the last output',
      )
    } finally {
      this.#outputs.delete(id)
    }
    const { State } = await this.#call('asking how a container ended', engineCallTimeoutMs, () =>
      container.inspect(),
    )
    return { exitCode: State.ExitCode, oomKilled: State.OOMKilled }
  }

  async kill(id: string): Promise<void> {
    const container = this.#docker.getContainer(id)
    await this.#ignoring([404, 409], 'killing a container', () => container.kill())
  }

  async remove(id: string): Promise<void> {
    const container = this.#docker.getContainer(id)
    // 409: another removal is under way.
    await this.#ignoring([404, 409], 'removing a container', () => container.remove({ force: true, v: true }))
    this.#outputs.delete(id)
  }

  async find(label: string, value: string): Promise<string[]> {
    const options = { all: true, filters: { label: [`${label}=${value}`] } }
    const found = await this.#call('looking for containers', engineCallTimeoutMs, () =>
      this.#docker.listContainers(options),
    )
    return found.map(({ Id }) => Id)
  }

  /**
   * The answer that ends when the container does. dockerode's own `wait` collects it and hears nothing of an engine that
   * goes away in the middle: it would wait for ever.
   */
  #waitingFor(id: string, signal: AbortSignal): Promise<IncomingMessage> {
    const request = {
      path: `/containers/${id}/wait?`,
      method: 'POST',
      options: { condition: 'not-running' },
      statusCodes: { 200: true, 400: 'bad parameter', 404: 'no such container', 500: 'server error' },
      abortSignal: signal,
      isStream: true,
    }
    return new Promise((resolve, reject) => {
      this.#docker.modem.dial(request, (error: unknown, answer) => {
        if (answer instanceof IncomingMessage) resolve(answer)
        else reject(error)
      })
    })
  }

  async #call<T>(what: string, timeoutMs: number, action: () => Promise<T>): Promise<T> {
    try {
      return await withDeadline(action(), timeoutMs, `The container engine, ${what},`)
    } catch (cause) {
      throw engineError(cause, this.#socketPath)
    }
  }

  async #ignoring(statuses: readonly number[], what: string, action: () => Promise<unknown>): Promise<void> {
    try {
      await this.#call(what, containerChangeTimeoutMs, action)
    } catch (error) {
      if (!statuses.some((status) => isStatus(error, status))) throw error
    }
  }
}

function optionsOf(spec: ContainerSpec): Docker.ContainerCreateOptions {
  const [uid, gid] = spec.user.split(':')
  // A numeric user owns its /tmp even where the image's own is not open to all.
  const owner = /^\d+$/.test(uid ?? '') ? `,uid=${uid}${/^\d+$/.test(gid ?? '') ? `,gid=${gid}` : ''}` : ''
  return {
    name: spec.name,
    Image: spec.imageId,
    ...(spec.command === null ? {} : { Cmd: [...spec.command] }),
    Env: Object.entries(spec.environment).map(([variable, value]) => `${variable}=${value}`),
    Labels: { ...spec.labels },
    User: spec.user,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      Mounts: spec.mounts.map(({ source, target, readOnly }) => ({
        Type: 'bind',
        Source: source,
        Target: target,
        ReadOnly: readOnly,
        BindOptions: { Propagation: 'rprivate' },
      })),
      AutoRemove: false,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      NetworkMode: spec.network,
      ReadonlyRootfs: spec.rootReadOnly,
      ...devicesOf(spec.devices),
      Tmpfs: { '/tmp': `rw,nosuid,nodev,mode=1777,size=${toolTmpBytesMax}${owner}` },
      Memory: spec.memoryBytes,
      MemorySwap: spec.memoryBytes,
      NanoCpus: Math.round(spec.cpus * NANO),
      PidsLimit: spec.pids,
      GroupAdd: [...spec.groups],
      LogConfig: { Type: 'none', Config: {} },
    },
  }
}

/** What Docker calls the devices of a specification. Pure. */
function devicesOf(devices: readonly string[]): Pick<Docker.HostConfig, 'Devices' | 'DeviceRequests'> {
  const cards = devices
    .filter((device) => device.startsWith(NVIDIA))
    .map((device) => device.slice(NVIDIA.length))
  const paths = devices.filter((device) => !device.startsWith(NVIDIA))
  return {
    Devices: paths.map((path) => ({ PathOnHost: path, PathInContainer: path, CgroupPermissions: 'rwm' })),
    ...(cards.length === 0
      ? {}
      : { DeviceRequests: [{ Driver: 'nvidia', DeviceIDs: cards, Capabilities: [['gpu']] }] }),
  }
}

/** Hands over what a container prints, piece by piece: the container waits while `onOutput` is at work. */
async function pump(stream: NodeJS.ReadableStream, onOutput: OnOutput): Promise<void> {
  const demultiplexer = new Demultiplexer()
  for await (const chunk of stream) {
    if (typeof chunk === 'string') throw new NodeError('INTERNAL', 'The output of a container came as text')
    for (const { stream: name, bytes } of demultiplexer.push(chunk)) await onOutput(name, bytes)
  }
}

function imageNotFound(reference: string, why: string): NodeError {
  const message = `The image ${reference} is not on this machine and could not be pulled: ${why}. Check its name, or build, import or load it here`
  return new NodeError('IMAGE_NOT_FOUND', message, { image: reference })
}
