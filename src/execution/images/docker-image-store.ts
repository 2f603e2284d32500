/** The images of a Docker engine, over its API (Docker Engine API 1.41). */
import type Docker from 'dockerode'
import { z } from 'zod'
import { isNodeError, NodeError } from '../../base/errors.ts'
import { engineCallTimeoutMs, imagePullTimeoutMs, imageRemovalTimeoutMs } from '../../base/limits.ts'
import { withDeadline } from '../../base/wait.ts'
import { engineError, isStatus, statusOf } from '../engines/docker-errors.ts'
import { readProgress } from './docker-progress.ts'
import { DOCKER_HUB, digestAmong, withTag } from './image-reference.ts'
import type {
  ImageBuild,
  ImageStore,
  ListedImage,
  PullOptions,
  RegistryCredentials,
  StoredImage,
} from './image-store.ts'

/** What the hub calls itself where it is logged in to. */
const DOCKER_HUB_SERVER = 'https://index.docker.io/v1/'
/** Docker's period of processor time, in microseconds. */
const CPU_PERIOD = 100_000
/** With which the engine marks what RUN wrote to standard error. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is meant
const COLOURS = /\x1b\[(?:91|0)m/g
const DIGEST = /^sha256:[0-9a-f]{64}$/

const distributionSchema = z.object({ Descriptor: z.object({ digest: z.string().regex(DIGEST) }) })

export class DockerImageStore implements ImageStore {
  readonly #docker: Docker
  readonly #place: string

  /** @param parts.place where the engine is, for people. */
  constructor(parts: { docker: Docker; place: string }) {
    this.#docker = parts.docker
    this.#place = parts.place
  }

  async inspect(reference: string): Promise<StoredImage | undefined> {
    const tagged = withTag(reference)
    const image = this.#docker.getImage(tagged)
    try {
      const info = await this.#call('looking for an image', engineCallTimeoutMs, () => image.inspect())
      // Older images may have none of these.
      const { RepoDigests, RepoTags, Config } = info as { [K in keyof typeof info]?: (typeof info)[K] | null }
      const repoDigests = RepoDigests ?? []
      return {
        digest: digestAmong(repoDigests, tagged) ?? info.Id,
        id: info.Id,
        user: Config?.User ?? '',
        volumes: Object.keys(Config?.Volumes ?? {}),
        repoDigests,
        tags: RepoTags ?? [],
        labels: Config?.Labels ?? {},
        onBuild: (Config?.OnBuild ?? []).map(String),
        bytes: info.Size,
      }
    } catch (error) {
      if (isStatus(error, 404)) return undefined
      throw error
    }
  }

  async pull(reference: string, { credentials, signal }: PullOptions): Promise<void> {
    const tagged = withTag(reference)
    const deadline = AbortSignal.timeout(imagePullTimeoutMs)
    const abortSignal = AbortSignal.any([signal, deadline])
    const auth = credentials === undefined ? {} : { authconfig: authOf(credentials) }
    try {
      await readProgress(await this.#docker.pull(tagged, { abortSignal, ...auth }))
    } catch (cause) {
      signal.throwIfAborted()
      if (deadline.aborted) throw imageNotFound(tagged, `its pull took longer than ${imagePullTimeoutMs} ms`)
      throw this.#notPulled(tagged, cause)
    }
  }

  async digestAt(reference: string, { credentials, signal }: PullOptions): Promise<string> {
    const tagged = withTag(reference)
    const auth = credentials === undefined ? {} : { authconfig: authOf(credentials) }
    try {
      signal.throwIfAborted()
      const answer = await withDeadline(
        this.#docker.getImage(tagged).distribution(auth),
        engineCallTimeoutMs,
        'Asking the registry for a digest',
      )
      return distributionSchema.parse(answer).Descriptor.digest
    } catch (cause) {
      signal.throwIfAborted()
      throw this.#notPulled(tagged, cause)
    }
  }

  async list(): Promise<readonly ListedImage[]> {
    const images = await this.#call('listing images', imageRemovalTimeoutMs, () =>
      this.#docker.listImages({ all: true }),
    )
    return images.map(({ Id, RepoDigests, RepoTags, Size }) => ({
      id: Id,
      // Docker writes `<none>` for what has no name.
      repoDigests: (RepoDigests ?? []).filter((digest) => !digest.includes('<none>')),
      tags: (RepoTags ?? []).filter((tag) => !tag.includes('<none>')),
      bytes: Size,
    }))
  }

  async inContainers(): Promise<ReadonlySet<string>> {
    const containers = await this.#call('listing containers', engineCallTimeoutMs, () =>
      this.#docker.listContainers({ all: true }),
    )
    return new Set(containers.map(({ ImageID }) => ImageID))
  }

  async remove(reference: string): Promise<boolean> {
    const image = this.#docker.getImage(reference)
    try {
      // What lies below it is not deleted with it: it may be somebody else's.
      await this.#call('removing an image', imageRemovalTimeoutMs, () => image.remove({ noprune: true }))
      return true
    } catch (error) {
      // 409: a container, a further name or an image on top of it needs it.
      if (isStatus(error, 404) || isStatus(error, 409)) return false
      throw error
    }
  }

  async build(build: ImageBuild): Promise<string> {
    const { signal, tag, network, memoryBytes, cpus } = build
    const options = {
      dockerfile: build.dockerfile,
      t: tag,
      networkmode: network,
      memory: memoryBytes,
      memswap: memoryBytes,
      cpuperiod: CPU_PERIOD,
      cpuquota: Math.round(cpus * CPU_PERIOD),
      nocache: build.noCache,
      rm: true,
      forcerm: true,
      abortSignal: signal,
    }
    let id: string | undefined
    try {
      signal.throwIfAborted()
      const stream = await this.#docker.buildImage(build.context, options)
      await readProgress(stream, async ({ stream: text, status, aux }) => {
        if (aux !== undefined) id = aux.ID
        const line = text ?? (status === undefined ? undefined : `${status}\n`)
        if (line !== undefined) await build.onOutput(line.replaceAll(COLOURS, ''))
      })
    } catch (cause) {
      signal.throwIfAborted()
      if (isNodeError(cause)) throw cause
      const error = engineError(cause, this.#place)
      if (statusOf(error) === undefined && isSocketFailure(cause)) throw error
      throw new NodeError('BUILD_FAILED', `The build failed: ${builderWords(error)}`, {}, { cause })
    }
    if (id !== undefined) return id
    throw new NodeError('BUILD_FAILED', 'The engine ended the build and names no image')
  }

  async checkCredentials(credentials: RegistryCredentials): Promise<void> {
    try {
      await withDeadline(
        this.#docker.checkAuth(authOf(credentials)),
        engineCallTimeoutMs,
        'Asking the registry who may come in',
      )
    } catch (cause) {
      const { registry, user } = credentials
      const error = engineError(cause, this.#place)
      // The engine says so in its status, or as a failure of its own in which the registry's stands.
      if (isStatus(cause, 401) || /\b401 Unauthorized\b|\bunauthorized\b/.test(error.message)) {
        const message = `${registry} does not let ${user} in with this password; nothing was kept`
        throw new NodeError('FORBIDDEN', message, { registry, user })
      }
      if (statusOf(error) === undefined) throw error
      const message = `${registry} cannot be asked whether it takes this password: ${error.message}`
      throw new NodeError('SOURCE_UNAVAILABLE', message, { registry })
    }
  }

  /** An engine that does not answer has no status; anything else is what a registry said, or that none was found. */
  #notPulled(reference: string, cause: unknown): NodeError {
    const error = engineError(cause, this.#place)
    const gone =
      statusOf(error) === undefined && error.code === 'ENGINE_UNAVAILABLE' && isSocketFailure(cause)
    if (gone) return error
    const words = wordsOf(error)
    if (!isRegistryDown(words)) return imageNotFound(reference, words)
    const message = `The registry of ${reference} does not answer as it should: ${words}`
    return new NodeError('SOURCE_UNAVAILABLE', message, { image: reference }, { cause })
  }

  async #call<T>(what: string, timeoutMs: number, action: () => Promise<T>): Promise<T> {
    try {
      return await withDeadline(action(), timeoutMs, `The container engine, ${what},`)
    } catch (cause) {
      throw engineError(cause, this.#place)
    }
  }
}

/**
 * Whether the engine's words say that a registry is there and did not serve, which may be over soon; a host that cannot be
 * looked up is rather one that was misspelt. Pure.
 */
export function isRegistryDown(words: string): boolean {
  if (/\blookup /.test(words)) return false
  return /connection refused|connection reset|no route to host|i\/o timeout|handshake timeout|Client\.Timeout|deadline exceeded|unexpected EOF|toomanyrequests|\b(?:429|50[0234]) [A-Z]/.test(
    words,
  )
}

/** Something of the connection to the engine itself, and not a word that came through it. */
function isSocketFailure(cause: unknown): boolean {
  return isNodeError(cause, 'TIMED_OUT') || (cause instanceof Error && 'code' in cause)
}

function authOf({ registry, user, password }: RegistryCredentials) {
  const serveraddress = registry === DOCKER_HUB ? DOCKER_HUB_SERVER : registry
  return { username: user, password, serveraddress }
}

/** What the registry said, without our own frame around it. */
function wordsOf({ message }: NodeError): string {
  return message.replace(/^(?:The container engine failed|No container engine answers at \S+): /, '')
}

const COMMAND_ENDED = /^The command '(?:\/bin\/sh -c )?(.*)' returned a non-zero code: (\d+)$/s

/** What the builder said of a file that does not build: nothing is wrong with the engine then. */
function builderWords(error: NodeError): string {
  return wordsOf(error).replace(COMMAND_ENDED, 'the command "$1" ended with exit code $2')
}

function imageNotFound(reference: string, why: string): NodeError {
  const message = `The image ${reference} is not on this machine and could not be pulled: ${why}. Check its name, log in to its registry ("maoctl image login"), or build, import or load it here`
  return new NodeError('IMAGE_NOT_FOUND', message, { image: reference })
}
