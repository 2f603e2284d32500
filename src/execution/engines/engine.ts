import type { OutputStream } from '../logs/logs.ts'

/** Labels of every container of ours: by them it is found again, by people and after a crash. */
export const NODE_LABEL = 'mao.node'
export const RUN_LABEL = 'mao.run'
export const STEP_LABEL = 'mao.step'

/** An image as one engine knows it now. */
export interface EngineImage {
  /**
   * What never changes under a name: the registry's digest (`name@sha256:…`) where the image came from one, else the
   * id of the image's own configuration (`sha256:…`).
   */
  readonly digest: string
  /** Id by which the engine starts exactly this image. */
  readonly id: string
  /** The user the image names, empty for none. */
  readonly user: string
}

export interface Mount {
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
}

/** The box of one step. What is not named here is not given. */
export interface ContainerSpec {
  readonly name: string
  /** The engine's image id, so that a tag cannot move between check and start. */
  readonly imageId: string
  readonly command: readonly string[] | null
  readonly environment: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly mounts: readonly Mount[]
  /** `uid:gid`, or what the image names. */
  readonly user: string
  readonly memoryBytes: number
  readonly cpus: number
  readonly pids: number
  /** Groups beside the user's own, as gids. */
  readonly groups: readonly string[]
}

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
  ping(): Promise<void>
  /** Finds an image by reference, pulling it where it is absent. @throws NodeError IMAGE_NOT_FOUND */
  image(reference: string, signal: AbortSignal): Promise<EngineImage>
  create(spec: ContainerSpec): Promise<string>
  /**
   * Starts the container; `onOutput` gets all that it prints from the first byte on.
   *
   * @throws NodeError INVALID_INPUT when its command cannot be started.
   */
  start(container: string, onOutput: OnOutput): Promise<void>
  /** Resolves when the container has ended and `onOutput` has had everything. */
  wait(container: string, signal: AbortSignal): Promise<ContainerEnd>
  /** Ends a container at once; one that has ended already is left alone. */
  kill(container: string): Promise<void>
  /** Removes a container, running or not; one that is gone already is no error. */
  remove(container: string): Promise<void>
  /** Ids of all containers with this label, ended ones too. */
  find(label: string, value: string): Promise<string[]>
}
