import type { EngineImage, ImageStore } from '../images/image-store.ts'
import type { OutputStream } from '../logs/logs.ts'
import type { EngineFacts } from './engine-facts.ts'

export type { EngineImage }

/** Labels of every container of ours: by them it is found again, by people and after a crash. */
export const NODE_LABEL = 'mao.node'
export const RUN_LABEL = 'mao.run'
export const STEP_LABEL = 'mao.step'
/** How the names of containers of ours begin: labels alone prove nothing, since an image gives its own to its containers. */
export const NAME_PREFIX = 'mao-'

export interface Mount {
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
}

/** The box of one step. What is not named here is not given. */
export interface ContainerSpec {
  /** Begins with `NAME_PREFIX`. */
  readonly name: string
  /** The engine's image id, so that a tag cannot move between check and start. */
  readonly imageId: string
  readonly command: readonly string[] | null
  readonly environment: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly mounts: readonly Mount[]
  /** What the image declares as volumes: empty directories in memory, wherever no mount stands. */
  readonly volumes?: readonly string[]
  /** `uid:gid`, or what the image names. */
  readonly user: string
  readonly memoryBytes: number
  readonly cpus: number
  readonly pids: number
  /** Groups beside the user's own, as gids. */
  readonly groups: readonly string[]
  readonly network: NetworkMode
  /** Whether nothing but the mounts and `/tmp` can be written. */
  readonly rootReadOnly: boolean
  /** Devices of the machine: paths such as `/dev/fuse`, or `nvidia:0` for a card by its number or id. */
  readonly devices: readonly string[]
  /** Whether something in the environment is to be known by the step alone, so that no engine may keep it elsewhere. */
  readonly holdsSecrets?: boolean
  /**
   * Bytes that the writable mounts may hold together, enforced by an engine that has to bring them here; one that
   * shares this node's files leaves that to whoever watches them.
   */
  readonly outputBytesMax?: number
}

/**
 * What a container reaches: nothing; the world, but neither this machine nor its neighbours; or all that this machine
 * reaches, as one of its own programs.
 */
export type NetworkMode = 'none' | 'bridge' | 'host'

export interface ContainerEnd {
  readonly exitCode: number
  /** The memory limit killed a process of the container, not necessarily its first. */
  readonly oomKilled: boolean
}

export type OnOutput = (stream: OutputStream, bytes: Uint8Array) => Promise<void>

/**
 * What runs containers. Every method throws NodeError ENGINE_UNAVAILABLE when the engine does not answer, with a way
 * out in its message, and none waits without end except `wait`, which its signal ends.
 */
export interface ContainerEngine {
  /** The images that it holds. */
  readonly images: ImageStore
  /**
   * Whether the sources of mounts are this node's own files; else the engine carries them: there before the start, and
   * what can be written back when the container has ended.
   */
  readonly sharesFiles: boolean
  ping(): Promise<void>
  /** What the engine and its machine are. */
  facts(): Promise<EngineFacts>
  /**
   * Whether a container may have this network here, so that a step is refused before anything has been done.
   *
   * @throws NodeError FORBIDDEN with a way out, where the neighbours of a `bridge` cannot be kept out of its reach.
   */
  checkNetwork(network: NetworkMode): Promise<void>
  /** Finds an image by reference, pulling it where it is absent. @throws NodeError IMAGE_NOT_FOUND */
  image(reference: string, signal: AbortSignal): Promise<EngineImage>
  /**
   * Makes a container, and brings it its files where they are not shared.
   *
   * @throws NodeError IMAGE_NOT_FOUND, FORBIDDEN (a network or device that it cannot be given here); the signal's reason.
   */
  create(spec: ContainerSpec, signal?: AbortSignal): Promise<string>
  /**
   * Starts the container; `onOutput` gets all that it prints from the first byte on.
   *
   * @throws NodeError INVALID_INPUT when its command cannot be started.
   */
  start(container: string, onOutput: OnOutput): Promise<void>
  /**
   * Resolves when the container has ended and `onOutput` has had everything, and where files are not shared, what it
   * wrote has been brought back (unless it was killed).
   *
   * @throws NodeError TOO_LARGE, PATH_UNSAFE for what was to be brought back; the signal's reason.
   */
  wait(container: string, signal: AbortSignal): Promise<ContainerEnd>
  /** Ends a container at once; one that has ended already is left alone. */
  kill(container: string): Promise<void>
  /** Removes a container, running or not; one that is gone already is no error. */
  remove(container: string): Promise<void>
  /** Ids of all containers of ours with this label, ended ones too. */
  find(label: string, value: string): Promise<string[]>
}
