import { type Database, DURABLE, type Table, table } from '../../base/database.ts'
import { NodeError } from '../../base/errors.ts'
import { imagePinsPastMax } from '../../base/limits.ts'
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
  /** What references meant until their owner accepted another, the last ones first: for runs that are done again. */
  readonly #past: Table<Pin[]>

  constructor(parts: { database: Database }) {
    this.#table = table(parts.database, 'image-pins')
    this.#past = table(parts.database, 'image-pins-past')
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

  /** Whether `reference` is or was this image here, as far as is remembered. */
  async hasMeant(reference: string, image: Pick<EngineImage, 'id' | 'digest'>): Promise<boolean> {
    const pin = await this.#table.get(reference)
    const all = [...(pin === undefined ? [] : [pin]), ...((await this.#past.get(reference)) ?? [])]
    return all.some(({ id, digest }) => id === image.id || digest === image.digest)
  }

  /** Lets `reference` mean another image: the next use pins it anew. */
  async accept(reference: string): Promise<void> {
    const pin = await this.#table.get(reference)
    if (pin === undefined) return
    const others = ((await this.#past.get(reference)) ?? []).filter(({ id }) => id !== pin.id)
    await this.#past.put(reference, [pin, ...others].slice(0, imagePinsPastMax), DURABLE)
    await this.#table.del(reference, DURABLE)
  }
}
