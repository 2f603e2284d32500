import type { Clock } from '../../base/clock.ts'
import type { ContainerEngine, EngineImage } from '../engines/engine.ts'
import type { ImagePins } from './image-pins.ts'

export interface ImagesParts {
  readonly pins: ImagePins
  readonly clock: Clock
}

/** Gets the images that steps run in, and makes sure that they are the right ones. */
export class Images {
  readonly #parts: ImagesParts

  constructor(parts: ImagesParts) {
    this.#parts = parts
  }

  /**
   * The image that `reference` of `tool` means, on that engine, pulled where it is absent, and pinned at its first use.
   *
   * @param p.say gets a line for each thing that is done, for the log of the step's first stage.
   * @throws NodeError IMAGE_NOT_FOUND, IMAGE_MOVED, ENGINE_UNAVAILABLE, the signal's reason.
   */
  async obtain(p: {
    tool: string
    reference: string
    engine: ContainerEngine
    signal: AbortSignal
    say: (line: string) => void
  }): Promise<EngineImage> {
    const { tool, reference, engine, signal, say } = p
    const image = await engine.image(reference, signal)
    signal.throwIfAborted()
    await this.#parts.pins.check({ tool, reference, image, timeMs: this.#parts.clock.now() })
    say(`image ${reference} is ${image.digest}`)
    return image
  }
}
