/**
 * Steps in containers of a Docker engine, on this machine or on another. The box is closed by default: no capability,
 * no way to gain one, no network, a root file system that cannot be written, bounded memory (without swap), processes
 * and processors. Containers are removed by us and never by Docker, whose own removal races with the question how they
 * ended.
 */
import { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { isNodeError, NodeError } from '../../base/errors.ts'
import {
  containerChangeTimeoutMs,
  engineAliveIntervalMs,
  engineCallTimeoutMs,
  engineMissesMax,
  enginePingTimeoutMs,
  logDrainTimeoutMs,
} from '../../base/limits.ts'
import { delay, withDeadline } from '../../base/wait.ts'
import { DockerImageStore } from '../images/docker-image-store.ts'
import type { ImageStore } from '../images/image-store.ts'
import { Demultiplexer } from './demultiplexer.ts'
import { DockerConnection } from './docker-connection.ts'
import { engineError, isStatus, startError } from './docker-errors.ts'
import { bindsOf, containerOptions } from './docker-options.ts'
import {
  type ContainerEnd,
  type ContainerEngine,
  type ContainerSpec,
  type EngineImage,
  NAME_PREFIX,
  type NetworkMode,
  type OnOutput,
} from './engine.ts'
import { type EngineFacts, factsOf } from './engine-facts.ts'
import { FILES_LABEL, FileCarrier, holderName } from './file-carrier.ts'
import { wasKilledByMemory } from './memory-kills.ts'
import type { NetworkGuard } from './network-guard.ts'

export type DockerEngineParts = ({ socketPath: string } | { connection: DockerConnection }) & {
  /** Whether sources of mounts mean the same on the engine's machine; else files are carried. */
  sharesFiles?: boolean
  /** Without one, no step gets a bridge. */
  guard?: Pick<NetworkGuard, 'ensure' | 'state'>
}

/** What is remembered of a container between its making and its removal. */
interface Held {
  readonly spec: ContainerSpec
  readonly volumes: readonly string[]
  /** What is still being read of it. */
  output?: Promise<void>
  /** Ends the reading. */
  hangUp?: () => void
  /** Whether it was ended from here: then nobody wants what it wrote. */
  wasKilled?: boolean
}

export class DockerEngine implements ContainerEngine {
  readonly sharesFiles: boolean
  readonly images: ImageStore
  readonly #connection: DockerConnection
  readonly #guard: Pick<NetworkGuard, 'ensure' | 'state'> | undefined
  readonly #carrier: FileCarrier
  readonly #held = new Map<string, Held>()

  constructor(parts: DockerEngineParts) {
    this.#connection = 'connection' in parts ? parts.connection : DockerConnection.local(parts.socketPath)
    const { docker, place } = this.#connection
    this.sharesFiles = parts.sharesFiles ?? true
    this.images = new DockerImageStore({ docker, place })
    this.#guard = parts.guard
    this.#carrier = new FileCarrier(this.#connection)
  }

  async ping(): Promise<void> {
    await this.#call('asking whether it is there', enginePingTimeoutMs, (docker) => docker.ping())
  }

  async facts(): Promise<EngineFacts> {
    const told = await this.#call('asking what its machine has', engineCallTimeoutMs, (docker) =>
      docker.info(),
    )
    const bridge = this.#guard === undefined ? { bridge: 'refused' as const } : await this.#guard.state()
    return factsOf(told, bridge)
  }

  async checkNetwork(network: NetworkMode): Promise<void> {
    if (network === 'bridge') await this.#bridge()
  }

  async image(reference: string, signal: AbortSignal): Promise<EngineImage> {
    if ((await this.images.inspect(reference)) === undefined) await this.images.pull(reference, { signal })
    const found = await this.images.inspect(reference)
    if (found === undefined) throw imageNotFound(reference, 'it was pulled and then not there')
    const { digest, id, user } = found
    return { digest, id, user }
  }

  async create(spec: ContainerSpec, signal: AbortSignal = new AbortController().signal): Promise<string> {
    const bridge = spec.network === 'bridge' ? await this.#bridge() : undefined
    try {
      const { mounts, volumes } = this.sharesFiles
        ? { mounts: bindsOf(spec.mounts), volumes: [] }
        : await this.#carrier.bring(spec, signal)
      const options = containerOptions(spec, mounts, bridge?.network ?? spec.network, bridge?.nameservers)
      const { id } = await this.#call('making a container', containerChangeTimeoutMs, (docker) =>
        docker.createContainer(options),
      )
      this.#held.set(id, { spec, volumes })
      return id
    } catch (error) {
      if (!this.sharesFiles) await this.#carrier.remove(spec.name).catch(alreadyFailing)
      if (!isStatus(error, 404)) throw error
      throw imageNotFound(spec.imageId, 'it was removed meanwhile')
    }
  }

  async start(id: string, onOutput: OnOutput): Promise<void> {
    const container = this.#connection.docker.getContainer(id)
    const held = this.#held.get(id)
    const attach = { stream: true, stdout: true, stderr: true }
    // Attached before it starts, so that the first word is not lost.
    const stream = await this.#call('attaching', engineCallTimeoutMs, () => container.attach(attach))
    const output = pump(stream, onOutput)
    // Whoever waits for the container hears of a failure; until then it must not count as unhandled.
    output.catch(() => undefined)
    if (held !== undefined) Object.assign(held, { output, hangUp: () => hangUp(stream) })
    // Looked at once more: a firewall may have been loaded anew since the container was made.
    if (held?.spec.network === 'bridge') await this.#bridge()
    try {
      await this.#call('starting a container', containerChangeTimeoutMs, () => container.start())
    } catch (error) {
      throw startError(error, id)
    }
  }

  async wait(id: string, signal: AbortSignal): Promise<ContainerEnd> {
    const container = this.#connection.docker.getContainer(id)
    const held = this.#held.get(id)
    await this.#untilEnded(id, held, signal)
    const endedMs = performance.now()
    await withDeadline(held?.output ?? Promise.resolve(), logDrainTimeoutMs, 'Reading the last output')
    const { State } = await this.#call('asking how a container ended', engineCallTimeoutMs, () =>
      container.inspect(),
    )
    const isOurs = held?.wasKilled === true
    const oomKilled =
      State.OOMKilled || (!isOurs && (await wasKilledByMemory(this.#connection, id, State, endedMs)))
    if (!this.sharesFiles && held !== undefined && !isOurs) {
      await this.#carrier.fetch(id, held.spec, signal)
    }
    return { exitCode: State.ExitCode, oomKilled }
  }

  async kill(id: string): Promise<void> {
    const held = this.#held.get(id)
    if (held !== undefined) held.wasKilled = true
    const container = this.#connection.docker.getContainer(id)
    await this.#ignoring([404, 409], 'killing a container', () => container.kill())
  }

  async remove(id: string): Promise<void> {
    const files = this.sharesFiles ? undefined : await this.#filesOf(id)
    // Volumes go with the container that holds them, and only when no other one has them any more.
    if (files?.of !== undefined) await this.#remove(files.of)
    await this.#remove(id)
    if (files?.name !== undefined) await this.#carrier.remove(files.name)
    // A busy engine may forget to end the stream of a container that is gone; its socket would stay for ever.
    this.#held.get(id)?.hangUp?.()
    this.#held.delete(id)
  }

  async find(label: string, value: string): Promise<string[]> {
    const options = { all: true, filters: { label: [`${label}=${value}`] } }
    const found = await this.#call('looking for containers', engineCallTimeoutMs, (docker) =>
      docker.listContainers(options),
    )
    const isOurs = (name: string) => name.startsWith(`/${NAME_PREFIX}`)
    return found.filter(({ Names }) => Names.some(isOurs)).map(({ Id }) => Id)
  }

  async #remove(idOrName: string): Promise<void> {
    const container = this.#connection.docker.getContainer(idOrName)
    // 409: another removal is under way.
    await this.#ignoring([404, 409], 'removing a container', () => container.remove({ force: true, v: true }))
  }

  /** Of a container that holds files, the name of the one that it holds them for; of any other, its own. */
  async #filesOf(id: string): Promise<{ of?: string; name?: string }> {
    try {
      const { Config, Name } = await this.#call('looking at a container', engineCallTimeoutMs, (docker) =>
        docker.getContainer(id).inspect(),
      )
      const name = Name.replace(/^\//, '')
      const of = Config.Labels[FILES_LABEL]
      // A label may be the image's own, and name whatever container it likes.
      return of !== undefined && name === holderName(of) ? { of } : { name }
    } catch (error) {
      if (!isStatus(error, 404)) throw error
      const spec = this.#held.get(id)?.spec
      return spec === undefined ? {} : { name: spec.name }
    }
  }

  /** @throws the signal's reason; NodeError TOO_LARGE once the container is dead; ENGINE_UNAVAILABLE. */
  async #untilEnded(id: string, held: Held | undefined, signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const ending = this.#waitingFor(id, AbortSignal.any([signal, over.signal])).then((answer) => text(answer))
    const watches = [this.#untilGone(over.signal)]
    const { volumes = [], spec } = held ?? {}
    if (volumes.length > 0 && spec?.outputBytesMax !== undefined) {
      watches.push(this.#carrier.watch(volumes, spec.outputBytesMax, over.signal))
    }
    try {
      // A watch that resolves was stopped, so the race is over by then.
      await Promise.race([ending, ...watches])
    } catch (cause) {
      signal.throwIfAborted()
      if (isNodeError(cause, 'TOO_LARGE')) await this.kill(id)
      throw engineError(cause, this.#connection.place)
    } finally {
      over.abort()
      for (const other of [ending, ...watches]) other.catch(() => undefined)
    }
  }

  /** Rejects when the engine has not answered for a while: a line that was cut in the middle says nothing by itself. */
  async #untilGone(signal: AbortSignal): Promise<void> {
    for (let misses = 0; !signal.aborted; ) {
      await delay(engineAliveIntervalMs, signal).catch(() => undefined)
      if (signal.aborted) return
      try {
        await this.ping()
        misses = 0
      } catch (error) {
        misses += 1
        if (misses >= engineMissesMax) throw error
      }
    }
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
      this.#connection.docker.modem.dial(request, (error: unknown, answer) => {
        if (answer instanceof IncomingMessage) resolve(answer)
        else reject(error)
      })
    })
  }

  async #bridge(): Promise<{ network: string; nameservers: readonly string[] }> {
    if (this.#guard !== undefined) return this.#guard.ensure()
    const message =
      'This engine has no bridge whose neighbours are kept out of reach; run the step without a network'
    throw new NodeError('FORBIDDEN', message, { network: 'bridge' })
  }

  #call: DockerConnection['call'] = (what, timeoutMs, action) =>
    this.#connection.call(what, timeoutMs, action)

  async #ignoring(statuses: readonly number[], what: string, action: () => Promise<unknown>): Promise<void> {
    try {
      await this.#call(what, containerChangeTimeoutMs, action)
    } catch (error) {
      if (!statuses.some((status) => isStatus(error, status))) throw error
    }
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

function hangUp(stream: NodeJS.ReadableStream): void {
  if ('destroy' in stream && typeof stream.destroy === 'function') stream.destroy()
}

function imageNotFound(reference: string, why: string): NodeError {
  const message = `The image ${reference} is not on this machine and could not be pulled: ${why}. Check its name, or build, import or load it here`
  return new NodeError('IMAGE_NOT_FOUND', message, { image: reference })
}

/** An undoing that fails has nothing to add to the failure that made it necessary; the next start reaps what is left. */
function alreadyFailing(): void {
  // Told by the failure itself.
}
