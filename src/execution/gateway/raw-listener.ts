/**
 * Saves this node's raw entries as files of the datasets that their keys name (protocols/gateway.md §2). What a member
 * wrote is saved by that member alone, on its own branch `raw-<node>`: so every entry is saved once, whoever hears of it,
 * and all members get it with the dataset. Entries wait on the disk until they are committed.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { type Database, DURABLE, type Table, table } from '../../base/database.ts'
import { type ErrorCode, messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { rawAttemptsMax, rawBatchMax, rawSaveIntervalMs, rawWaitingMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { SerialQueue } from '../../base/serial-queue.ts'
import { branchOf } from '../../datasets/branches.ts'
import type { Datasets } from '../../datasets/datasets.ts'
import type { Repository } from '../../datasets/git/repository.ts'
import { withheldAs } from '../../datasets/policies.ts'
import type { Registry } from '../../registry/registry.ts'
import type { Entry } from '../../registry/watchers.ts'
import { fileText, laidOver, placeOf, RAW_PREFIX, RAW_STEP, type RawPlace } from './raw-entry.ts'

/** An entry that waits to be saved. */
interface Waiting extends RawPlace {
  readonly value: string
  readonly timeMs: number
  readonly attempts: number
}

export interface RawListenerParts {
  readonly registry: Pick<Registry, 'claims' | 'list' | 'watch'>
  readonly datasets: Pick<Datasets, 'find' | 'repository' | 'adoptCommit'>
  readonly database: Database
  /** This member: its peer id marks its entries, its name ends its branches. */
  readonly self: () => { readonly peer: string; readonly name: string }
  /** Where files are laid out before git takes them. */
  readonly directory: string
  readonly clock: Clock
  readonly log: Logger
  /** Ms between two looks. */
  readonly intervalMs?: number
}

/** What no later attempt could mend. */
const HOPELESS: readonly ErrorCode[] = [
  'DATASET_NOT_FOUND',
  'DATASET_WITHHELD',
  'FORBIDDEN',
  'INVALID_INPUT',
  'INVALID_NAME',
  'PATH_UNSAFE',
  'NOT_A_MEMBER',
]
/** Watches tell of more than can be written at once only when something floods us. */
const NOTES_WAITING_MAX = 2 * rawWaitingMax

export class RawListener implements Startable {
  readonly #parts: RawListenerParts
  readonly #waiting: Table<Waiting>
  readonly #work = new SerialQueue(NOTES_WAITING_MAX)
  #count = 0
  #unwatch: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(parts: RawListenerParts) {
    this.#parts = parts
    this.#waiting = table(parts.database, 'raw')
  }

  async start(): Promise<void> {
    if (this.#unwatch !== undefined) return
    const { registry, intervalMs = rawSaveIntervalMs, directory } = this.#parts
    await rm(directory, { recursive: true, force: true })
    this.#count = (await this.#waiting.keys().all()).length
    this.#unwatch = registry.watch(RAW_PREFIX, ({ key }) => this.#hear(key))
    // What came while nobody listened, such as between the write and a crash.
    for (const { key } of registry.list(RAW_PREFIX)) await this.note(key)
    this.#timer = setInterval(() => this.#look(), intervalMs)
  }

  async stop(): Promise<void> {
    this.#unwatch?.()
    this.#unwatch = undefined
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.#work.idle()
  }

  /** @throws NodeError QUEUE_FULL when no more entries may wait. */
  checkRoom(): void {
    if (this.#count < rawWaitingMax) return
    const message = `${rawWaitingMax} raw entries wait to be saved already; try again later`
    throw new NodeError('QUEUE_FULL', message)
  }

  /** Takes up this node's own claim to a raw key, if it has one that names a file of a dataset for all members. */
  note(key: string): Promise<void> {
    return this.#work.run(() => this.#note(key))
  }

  /** Commits what waits, a batch a dataset. Never throws: what failed waits on. */
  save(): Promise<void> {
    return this.#work.run(() => this.#save())
  }

  #hear(key: string): void {
    this.note(key).catch((error: unknown) => {
      this.#parts.log.warn({ key, error: messageOf(error) }, 'a raw entry was not taken up')
    })
  }

  #look(): void {
    // A look that is still at work has the later entries before it, too.
    if (this.#count === 0 || this.#work.size > 0) return
    this.save().catch((error: unknown) => {
      this.#parts.log.error({ error: messageOf(error) }, 'raw entries were not saved')
    })
  }

  async #note(key: string): Promise<void> {
    const { registry, datasets, self } = this.#parts
    const place = placeOf(key)
    const dataset = place && datasets.find(place.dataset)
    if (place === undefined || dataset === undefined || withheldAs(dataset) !== undefined) return
    const { peer } = self()
    const own = registry.claims(key).find(({ author }) => author === peer)
    if (own === undefined) return
    const known = await this.#waiting.get(key)
    if (known !== undefined && known.timeMs >= own.timeMs) return
    if (known === undefined) this.checkRoom()
    await this.#waiting.put(key, waitingOf(place, own), DURABLE)
    if (known === undefined) this.#count += 1
  }

  async #save(): Promise<void> {
    const byDataset = new Map<string, [string, Waiting][]>()
    for await (const [key, waiting] of this.#waiting.iterator()) {
      const batch = byDataset.get(waiting.dataset) ?? []
      if (batch.length < rawBatchMax) byDataset.set(waiting.dataset, [...batch, [key, waiting]])
    }
    for (const [dataset, batch] of byDataset) await this.#saveBatch(dataset, batch)
  }

  async #saveBatch(dataset: string, batch: readonly [string, Waiting][]): Promise<void> {
    const { log } = this.#parts
    try {
      const misfits = await this.#commit(
        dataset,
        batch.map(([, waiting]) => waiting),
      )
      if (misfits.length > 0)
        log.warn({ dataset, paths: misfits }, 'raw entries stand in the way of files; they are not saved')
      await this.#forget(batch.map(([key]) => key))
    } catch (error) {
      const reason = messageOf(error)
      const isHopeless = error instanceof NodeError && HOPELESS.includes(error.code)
      const given = batch.filter(([, { attempts }]) => isHopeless || attempts + 1 >= rawAttemptsMax)
      const kept = batch.filter((each) => !given.includes(each))
      const keys = given.map(([key]) => key)
      if (given.length > 0) log.warn({ dataset, keys, error: reason }, 'raw entries are given up')
      else log.warn({ dataset, entries: kept.length, error: reason }, 'raw entries wait on')
      await this.#forget(keys)
      await this.#waiting.batch(
        kept.map(([key, waiting]) => {
          return { type: 'put' as const, key, value: { ...waiting, attempts: waiting.attempts + 1 } }
        }),
        DURABLE,
      )
    }
  }

  async #forget(keys: readonly string[]): Promise<void> {
    await this.#waiting.batch(
      keys.map((key) => ({ type: 'del' as const, key })),
      DURABLE,
    )
    this.#count -= keys.length
  }

  /** @returns the paths that could not be files. */
  async #commit(dataset: string, entries: readonly Waiting[]): Promise<string[]> {
    const { datasets, self, clock } = this.#parts
    const { peer, name } = self()
    const repository = await datasets.repository(dataset)
    const branch = branchOf(RAW_STEP, name)
    const author = { name, email: `${peer}@mao.invalid` }
    const tip = await repository.resolve(branch)
    const present = tip === undefined ? [] : await repository.listFiles(tip)
    const timeMs = clock.now()
    // Git takes contents from a directory; what it took is found again by a commit that nothing leads to.
    const tree = await this.#treeOf(repository, entries)
    const beside = await repository.writeCommit({
      tree,
      parents: [],
      message: 'Raw entries\n',
      author,
      timeMs,
    })
    const { files, misfits } = laidOver(present, await repository.listFiles(beside))
    const whole = await repository.writeTree(files)
    if (tip !== undefined && (await repository.readCommit(tip)).tree === whole) return misfits
    const message = `Save ${entries.length} raw ${entries.length === 1 ? 'entry' : 'entries'}\n\nDataset: ${dataset}\nSaved-By: ${name}\n`
    const parents = tip === undefined ? [] : [tip]
    const commit = await repository.writeCommit({ tree: whole, parents, message, author, timeMs })
    await datasets.adoptCommit({ dataset, branch, commit, from: tip })
    return misfits
  }

  async #treeOf(repository: Repository, entries: readonly Waiting[]): Promise<string> {
    const { directory } = this.#parts
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const place = await mkdtemp(join(directory, 'batch-'))
    try {
      // A directory cannot be laid out where another entry is a file; the first of the two is kept.
      for (const { path, value } of entries) {
        const file = join(place, path)
        try {
          await mkdir(dirname(file), { recursive: true })
          await writeFile(file, fileText(value))
        } catch (error) {
          if (!isAnotherKind(error)) throw error
          this.#parts.log.warn({ path }, 'a raw entry stands in the way of another; it is not saved')
        }
      }
      return await repository.writeTreeFromDirectory(place)
    } finally {
      await rm(place, { recursive: true, force: true })
    }
  }
}

function waitingOf(place: RawPlace, { value, timeMs }: Entry): Waiting {
  return { ...place, value: new TextDecoder().decode(value), timeMs, attempts: 0 }
}

function isAnotherKind(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  return code === 'EEXIST' || code === 'ENOTDIR' || code === 'EISDIR'
}
