import { type Database, DURABLE, type Table, table } from '../../base/database.ts'
import { NodeError } from '../../base/errors.ts'
import type { EngineImage } from '../engines/engine.ts'

interface Pin {
  digest: string
  id: string
  timeMs: number
}

/**
 * Which image a reference meant when this node first used it. A tag can be pointed at another image by whoever owns the
 * registry, so a moved one is refused until the node's owner accepts it.
 */
export class ImagePins {
  readonly #table: Table<Pin>

  constructor(parts: { database: Database }) {
    this.#table = table(parts.database, 'image-pins')
  }

  /** @throws NodeError IMAGE_MOVED when the reference of `tool` once meant another image. */
  async check(p: { tool: string; reference: string; image: EngineImage; timeMs: number }): Promise<void> {
    const { tool, reference, image, timeMs } = p
    const pin = await this.#table.get(reference)
    if (pin === undefined) {
      await this.#table.put(reference, { digest: image.digest, id: image.id, timeMs }, DURABLE)
      return
    }
    // The same image gains a registry's digest when it is pushed; its id stays.
    if (pin.id === image.id || pin.digest === image.digest) return
    const message = `${reference} was ${pin.digest} at its first use here and is ${image.digest} now; if that is meant, accept it with "maoctl tool accept ${tool}", else name the old image by its digest`
    throw new NodeError('IMAGE_MOVED', message, {
      tool,
      image: reference,
      pinned: pin.digest,
      found: image.digest,
    })
  }

  /** What `reference` meant at its first use here. */
  async find(reference: string): Promise<{ readonly digest: string; readonly id: string } | undefined> {
    return this.#table.get(reference)
  }

  /** Forgets what `reference` meant: the next use pins it anew. */
  async accept(reference: string): Promise<void> {
    await this.#table.del(reference, DURABLE)
  }
}
