import { type Database, DURABLE, type Table, table } from '../../base/database.ts'
import { broughtImagesMax } from '../../base/limits.ts'
import type { StoredImage } from './image-store.ts'

/** An image that was not on an engine before this node pulled or built it. */
export interface BroughtImage {
  /** The engine's name in the settings. */
  readonly engine: string
  /** The engine's id of it. */
  readonly id: string
  readonly how: 'pulled' | 'built'
  /** What this node called it: only these names are taken away again. */
  readonly references: readonly string[]
  readonly bytes: number
  /** Ms since the epoch. */
  readonly broughtMs: number
  readonly usedMs: number
}

/** Which images this node brought to its engines: what others put there is never touched. */
export class BroughtImages {
  readonly #table: Table<BroughtImage>

  constructor(parts: { database: Database }) {
    this.#table = table(parts.database, 'brought-images')
  }

  /** An image was used under a reference; where it was brought just now, `how` says so. */
  async note(p: {
    engine: string
    image: Pick<StoredImage, 'id' | 'bytes'>
    reference?: string
    how?: BroughtImage['how']
    timeMs: number
  }): Promise<void> {
    const { engine, image, reference, how, timeMs } = p
    const key = keyOf(engine, image.id)
    const before = await this.#table.get(key)
    if (before === undefined && how === undefined) return
    const known = before?.references ?? []
    // Only what this node has just made a name of is its own to take away.
    const isNew = how !== undefined && reference !== undefined && !known.includes(reference)
    const references = isNew ? [...known, reference] : known
    const brought: BroughtImage = {
      engine,
      id: image.id,
      how: before?.how ?? how ?? 'pulled',
      references,
      bytes: image.bytes,
      broughtMs: before?.broughtMs ?? timeMs,
      usedMs: timeMs,
    }
    // When it was used last may be a little off after a power cut; that it is ours may not.
    await (isNew || before === undefined
      ? this.#table.put(key, brought, DURABLE)
      : this.#table.put(key, brought))
    if (before === undefined) await this.#bound()
  }

  /** By engine and id. */
  async list(): Promise<BroughtImage[]> {
    return this.#table.values().all()
  }

  async forget({ engine, id }: Pick<BroughtImage, 'engine' | 'id'>): Promise<void> {
    await this.#table.del(keyOf(engine, id), DURABLE)
  }

  /** What is forgotten stays on its engine for good, as if somebody else had put it there. */
  async #bound(): Promise<void> {
    const all = await this.list()
    const excess = all.length - broughtImagesMax
    if (excess <= 0) return
    const oldest = all.toSorted((a, b) => a.usedMs - b.usedMs).slice(0, excess)
    for (const image of oldest) await this.forget(image)
  }
}

function keyOf(engine: string, id: string): string {
  return `${engine} ${id}`
}
