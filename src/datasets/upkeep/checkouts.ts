/**
 * Trees of commits as read-only directories, shared by all runs that read the same tree, of whatever dataset. A tree is
 * named by what it holds, so one directory is right for all of them, and is made once. What was made stays for the next
 * run while there is room, and goes at the latest with the next start.
 */
import { randomUUID } from 'node:crypto'
import { renameSync } from 'node:fs'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { checkFree, isDiskFull, orDiskFull } from '../../base/disk-space.ts'
import { messageOf } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { checkoutsMadeAtOnceMax, checkoutsWaitingMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { beginAnew, removeTree } from '../../base/remove-tree.ts'
import { Semaphore } from '../../base/semaphore.ts'
import type { Repository } from '../git/repository.ts'
import { checkoutBytes, type Measurable } from './checkout-bytes.ts'
import { type Seal, sealOf, shut } from './checkout-tree.ts'
import { leastRecentlyUsed } from './eviction.ts'

export interface CheckoutsParts {
  /** Emptied at start. */
  readonly directory: string
  readonly repository: (dataset: string) => Promise<Source & Pick<Repository, 'readCommit'>>
  /** All directories together; those in use may take more. */
  readonly bytesMax: number
  /** Disk space that is left to the node. */
  readonly reserveBytes: number
  readonly clock: Clock
  readonly log: Logger
}

/** A tree on the disk, for as long as it is not released. */
export interface Checkout {
  readonly path: string
  release(): void
}

export interface CheckoutsUsage {
  readonly bytes: number
  readonly trees: number
  readonly inUse: number
}

interface Kept {
  readonly tree: string
  path: string
  users: number
  /** The turn of its last use. */
  used: number
  /** Undefined until it has been made. */
  seal: Seal | undefined
  /** Making or looking after it; whoever comes meanwhile waits for the same. */
  preparing: Promise<void> | undefined
  /** It is not what it was made as, and goes when nobody uses it any more. */
  retired: boolean
}

type Source = Pick<Repository, 'checkout'> & Measurable

export class Checkouts implements Startable {
  readonly #parts: CheckoutsParts
  readonly #kept = new Map<string, Kept>()
  readonly #making = new Semaphore(checkoutsMadeAtOnceMax, checkoutsWaitingMax)
  readonly #removals = new Set<Promise<void>>()
  #uses = 0

  constructor(parts: CheckoutsParts) {
    this.#parts = parts
  }

  /** Removes what an earlier life of the node has left (Q11): how it ended, and who wrote there since, nobody knows. */
  async start(): Promise<void> {
    const { directory, clock, log } = this.#parts
    await beginAnew(directory, clock.now(), log)
  }

  /** Ends once nothing is being made or removed any more. */
  async stop(): Promise<void> {
    await Promise.allSettled([...this.#kept.values()].map(({ preparing }) => preparing))
    await Promise.allSettled(this.#removals)
    this.#kept.clear()
  }

  usage(): CheckoutsUsage {
    const kept = [...this.#kept.values()]
    return {
      bytes: kept.reduce((sum, { seal }) => sum + (seal?.bytes ?? 0), 0),
      trees: kept.length,
      inUse: kept.filter(({ users }) => users > 0).length,
    }
  }

  /**
   * The tree of a commit as a directory that everybody may read and nobody write.
   *
   * @throws NodeError COMMIT_NOT_FOUND, PATH_UNSAFE, DISK_FULL, QUEUE_FULL.
   */
  async use(dataset: string, commit: string): Promise<Checkout> {
    const repository = await this.#parts.repository(dataset)
    const { tree } = await repository.readCommit(commit)
    for (;;) {
      const kept = this.#kept.get(tree) ?? this.#begin(tree)
      // Counted before the first wait: what is counted is not evicted.
      kept.users += 1
      this.#uses += 1
      kept.used = this.#uses
      try {
        kept.preparing ??= this.#prepare(kept, repository, commit).finally(() => {
          kept.preparing = undefined
        })
        await kept.preparing
      } catch (error) {
        this.#release(kept)
        throw error
      }
      if (!kept.retired) return this.#checkoutOf(kept)
      this.#release(kept)
    }
  }

  #checkoutOf(kept: Kept): Checkout {
    let held = true
    const release = () => {
      if (held) this.#release(kept)
      held = false
    }
    return { path: kept.path, release }
  }

  #begin(tree: string): Kept {
    const path = join(this.#parts.directory, tree)
    const kept: Kept = {
      ...{ tree, path, users: 0, used: 0 },
      ...{ seal: undefined, preparing: undefined, retired: false },
    }
    this.#kept.set(tree, kept)
    return kept
  }

  #release(kept: Kept): void {
    kept.users -= 1
    if (kept.users > 0) return
    if (kept.retired) this.#remove(kept)
    // It could not be made.
    else if (kept.seal === undefined) this.#kept.delete(kept.tree)
    this.#evict(this.#parts.bytesMax)
  }

  async #prepare(kept: Kept, source: Source, commit: string): Promise<void> {
    if (kept.seal === undefined) {
      kept.seal = await this.#making.run(() => this.#make(kept, source, commit))
      return this.#evict(this.#parts.bytesMax)
    }
    const found = await sealOf(kept.path).catch(() => undefined)
    if (found?.digest === kept.seal.digest) return
    const { tree, path } = kept
    this.#parts.log.error(
      { tree, path },
      'a checkout was changed by somebody else; it is made anew, and whoever can write there should be looked for',
    )
    this.#retire(kept)
  }

  /** A run that is at work in it goes on seeing it under its other name. */
  #retire(kept: Kept): void {
    kept.retired = true
    this.#kept.delete(kept.tree)
    const aside = this.#temporary()
    try {
      renameSync(kept.path, aside)
    } catch (error) {
      // Also somebody else's doing; the next one could not take its name otherwise.
      this.#parts.log.error({ path: kept.path, error: messageOf(error) }, 'a checkout is not to be moved')
    }
    kept.path = aside
  }

  async #make(kept: Kept, source: Source, commit: string): Promise<Seal> {
    const { directory, reserveBytes } = this.#parts
    try {
      const room = { place: directory, reserveBytes, wantedBytes: await checkoutBytes(source, commit) }
      await checkFree(room).catch(async (error) => {
        if (!(await this.#makeRoom())) throw error
        await checkFree(room)
      })
      return await this.#write(kept.path, source, commit).catch(async (error) => {
        if (!isDiskFull(error) || !(await this.#makeRoom())) throw error
        return this.#write(kept.path, source, commit)
      })
    } catch (error) {
      throw orDiskFull(error, directory)
    }
  }

  /** It has its name when it is whole and shut, and not before (dataset-upkeep.md Q9). */
  async #write(path: string, source: Source, commit: string): Promise<Seal> {
    const temporary = this.#temporary()
    try {
      await mkdir(temporary, { mode: 0o700 })
      await source.checkout(commit, temporary)
      await shut(temporary)
      const seal = await sealOf(temporary)
      await rename(temporary, path)
      return seal
    } catch (error) {
      await removeTree(temporary)
      throw error
    }
  }

  /** @returns whether anything was there to be removed; it is gone then. */
  async #makeRoom(): Promise<boolean> {
    const { trees } = this.usage()
    this.#evict(0)
    await Promise.allSettled(this.#removals)
    return this.usage().trees < trees
  }

  #evict(bytesMax: number): void {
    const found = [...this.#kept.values()].map((kept) => ({
      kept,
      bytes: kept.seal?.bytes ?? 0,
      used: kept.used,
      evictable: kept.users === 0 && kept.preparing === undefined,
    }))
    for (const { kept } of leastRecentlyUsed(found, bytesMax)) this.#remove(kept)
  }

  /** At once under another name, so that the tree can be made again meanwhile. */
  #remove(kept: Kept): void {
    if (!kept.retired) this.#retire(kept)
    const removal = removeTree(kept.path)
      .catch((error: unknown) => {
        const { path } = kept
        this.#parts.log.error({ path, error: messageOf(error) }, 'a checkout is left until the next start')
      })
      .finally(() => this.#removals.delete(removal))
    this.#removals.add(removal)
  }

  #temporary(): string {
    return join(this.#parts.directory, `.${randomUUID()}`)
  }
}
