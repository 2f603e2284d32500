import type { Readable } from 'node:stream'
import type { Labels } from './service.ts'

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
  /** Directories that it declares as volumes. */
  readonly volumes?: readonly string[]
}

/** What opens a registry; given to the engine with the one call that needs it. */
export interface RegistryCredentials {
  /** `host[:port]` as references write it. */
  readonly registry: string
  readonly user: string
  readonly password: string
}

/** An image as one engine holds it now. */
export interface StoredImage extends EngineImage {
  /** `repository@sha256:…` for every registry that the engine knows it from. */
  readonly repoDigests: readonly string[]
  readonly tags: readonly string[]
  readonly labels: Labels
  /** Instructions that run in a build that begins with this image. */
  readonly onBuild: readonly string[]
  /** With all layers, those that it shares with others included. */
  readonly bytes: number
}

/** The same, as a list tells it. */
export type ListedImage = Pick<StoredImage, 'id' | 'repoDigests' | 'tags' | 'bytes'>

export interface PullOptions {
  readonly credentials?: RegistryCredentials | undefined
  readonly signal: AbortSignal
}

/** What the engine is told to build, and how it is held. */
export interface ImageBuild {
  /** A tar archive; taken as fast as the engine reads. */
  readonly context: Readable
  /** Path within the context. */
  readonly dockerfile: string
  readonly tag: string
  readonly network: 'none' | 'bridge'
  readonly memoryBytes: number
  readonly cpus: number
  readonly noCache: boolean
  /** Ends the build: the engine lets go of it when the call is broken off. */
  readonly signal: AbortSignal
  /** Hears what the build prints, piece by piece. */
  readonly onOutput: (text: string) => Promise<void>
}

/**
 * The images of one engine. Every method throws NodeError ENGINE_UNAVAILABLE when the engine does not answer, and none
 * waits without end.
 */
export interface ImageStore {
  /** The image that a reference, digest or id means on this engine now, or undefined. */
  inspect(reference: string): Promise<StoredImage | undefined>
  /**
   * @throws NodeError IMAGE_NOT_FOUND with what the registry said, SOURCE_UNAVAILABLE where it does not serve, the signal's
   * reason.
   */
  pull(reference: string, options: PullOptions): Promise<void>
  /** `sha256:…` to which the registry resolves a reference now, without pulling it. @throws NodeError IMAGE_NOT_FOUND */
  digestAt(reference: string, options: PullOptions): Promise<string>
  /** All images, those in between of builds included. */
  list(): Promise<readonly ListedImage[]>
  /** Ids of the images of all containers, ended ones too. */
  inContainers(): Promise<ReadonlySet<string>>
  /** Untags one reference, or deletes an image by its id; false when a container or another image needs it, or it is gone. */
  remove(reference: string): Promise<boolean>
  /** @returns the id of the image. @throws NodeError BUILD_FAILED with the engine's words, the signal's reason. */
  build(build: ImageBuild): Promise<string>
  /** Asks the registry whether it takes these. @throws NodeError FORBIDDEN, SOURCE_UNAVAILABLE. */
  checkCredentials(credentials: RegistryCredentials): Promise<void>
}
