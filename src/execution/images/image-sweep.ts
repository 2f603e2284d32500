import type { Clock } from '../../base/clock.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { imageSweepIntervalMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { SerialQueue } from '../../base/serial-queue.ts'
import type { Engines } from '../engines/engines.ts'
import type { BroughtImage, BroughtImages } from './brought-images.ts'
import { type ImageVerdict, judgeImages, type Needs } from './image-needs.ts'
import type { ImageStore } from './image-store.ts'
import type { ImagesSettings } from './settings.ts'

export interface ImageSweepParts {
  readonly brought: BroughtImages
  readonly engines: Pick<Engines, 'ids' | 'of'>
  /** What tools and runs need, but for containers. */
  readonly needs: () => Promise<Omit<Needs, 'containers'>>
  readonly settings: Pick<ImagesSettings, 'keepBytes' | 'keepUnusedMs' | 'recentMs'>
  readonly clock: Clock
  readonly log: Logger
}

export interface SweepReport {
  /** With `dryRun`, those that would go. */
  readonly removed: readonly ImageVerdict[]
  /** What they have in all, layers that they share with others included. */
  readonly bytes: number
  /** Engines that could not be looked at, and why. */
  readonly unreachable: readonly { readonly engine: string; readonly problem: string }[]
}

const WAITING_MAX = 4

/** Takes away images that this node brought to its engines and that nothing needs any more; no others. */
export class ImageSweep implements Startable {
  readonly #parts: ImageSweepParts
  readonly #turns = new SerialQueue(WAITING_MAX)
  #timer: NodeJS.Timeout | undefined

  constructor(parts: ImageSweepParts) {
    this.#parts = parts
  }

  async start(): Promise<void> {
    this.#timer ??= setInterval(() => {
      this.sweep().catch((error: unknown) => {
        this.#parts.log.warn({ error: messageOf(error) }, 'images were not looked at')
      })
    }, imageSweepIntervalMs).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.#turns.idle()
  }

  /**
   * What this node brought and is still there, and what becomes of it.
   *
   * @throws NodeError ENGINE_UNAVAILABLE when an engine cannot be looked at: what lies there would seem to be gone.
   */
  async list(): Promise<ImageVerdict[]> {
    const { verdicts, unreachable } = await this.#look()
    const [first] = unreachable
    if (first === undefined) return verdicts
    const message = `The images of the engine ${first.engine} cannot be looked at: ${first.problem}`
    throw new NodeError('ENGINE_UNAVAILABLE', message, { engines: unreachable.map(({ engine }) => engine) })
  }

  /** @throws NodeError QUEUE_FULL */
  sweep({ dryRun = false }: { dryRun?: boolean } = {}): Promise<SweepReport> {
    return this.#turns.run(async () => {
      const { verdicts, unreachable } = await this.#look()
      const going = verdicts.filter(({ goes }) => goes !== undefined)
      const removed = dryRun ? going : await this.#removeAll(going)
      const bytes = removed.reduce((sum, { image }) => sum + image.bytes, 0)
      if (!dryRun && removed.length > 0) {
        this.#parts.log.info({ images: removed.length, bytes }, 'images that nothing needs were removed')
      }
      return { removed, bytes, unreachable }
    })
  }

  /** What others are built on goes only after them, so they are gone over for as long as that helps. */
  async #removeAll(going: readonly ImageVerdict[]): Promise<ImageVerdict[]> {
    const removed = new Set<ImageVerdict>()
    for (let before = -1; before < removed.size; ) {
      before = removed.size
      for (const verdict of going) {
        if (!removed.has(verdict) && (await this.#remove(verdict))) removed.add(verdict)
      }
    }
    return [...removed]
  }

  async #look() {
    const { brought, engines, settings, clock } = this.#parts
    const all = await brought.list()
    const needs = await this.#parts.needs()
    const verdicts: ImageVerdict[] = []
    const unreachable: { engine: string; problem: string }[] = []
    for (const engine of engines.ids) {
      const ours = all.filter((image) => image.engine === engine)
      if (ours.length === 0) continue
      try {
        const store = engines.of(engine).images
        const [present, containers] = [await store.list(), await store.inContainers()]
        await this.#forgetGone(
          ours,
          present.map(({ id }) => id),
        )
        const nowMs = clock.now()
        verdicts.push(
          ...judgeImages({ brought: ours, present, needs: { ...needs, containers }, settings, nowMs }),
        )
      } catch (error) {
        unreachable.push({ engine, problem: messageOf(error) })
      }
    }
    return { verdicts, unreachable }
  }

  /** Whoever removed an image may put it there again, and then it is theirs. */
  async #forgetGone(ours: readonly BroughtImage[], ids: readonly string[]): Promise<void> {
    const present = new Set(ids)
    for (const image of ours) if (!present.has(image.id)) await this.#parts.brought.forget(image)
  }

  /** @returns whether it is gone. */
  async #remove({ image }: ImageVerdict): Promise<boolean> {
    const { brought, engines } = this.#parts
    const { engine, id, usedMs } = image
    const now = (await brought.list()).find((each) => each.engine === engine && each.id === id)
    // A run took it meanwhile.
    if (now === undefined || now.usedMs !== usedMs) return false
    const store = engines.of(engine).images
    for (const reference of await namesOf(store, now)) await store.remove(reference)
    if ((await store.inspect(id)) !== undefined) await store.remove(id)
    if ((await store.inspect(id)) !== undefined) return false
    await brought.forget(image)
    return true
  }
}

/** Names of ours that still mean this image: one that has moved on belongs to another. */
async function namesOf(store: ImageStore, { id, references }: BroughtImage): Promise<string[]> {
  const names: string[] = []
  for (const reference of references) {
    if ((await store.inspect(reference))?.id === id) names.push(reference)
  }
  return names
}
