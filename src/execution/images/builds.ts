/**
 * Builds of images by this node's own operator, one at a time: from files that were sent, from a git repository elsewhere,
 * or from a dataset. Each is on the disk before it is told of, and ends truthfully; one that a crash cut is `lost`.
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { isNodeError, messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { buildsWaitingMax } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { RunIds } from '../runs/run-ids.ts'
import {
  advanceBuild,
  type Build,
  type BuildChange,
  type BuildSource,
  isBuildEnd,
  newBuild,
  parseContextPath,
  parseGitReference,
} from './build.ts'
import { contextFiles, contextSha256, takeContext } from './build-context.ts'
import { BuildLog, readBuildLog } from './build-log.ts'
import type { BuildStore } from './build-store.ts'
import type { BuildWork } from './build-work.ts'
import type { BuildsSettings } from './settings.ts'

export interface BuildsParts {
  readonly store: BuildStore
  readonly work: Pick<BuildWork, 'run' | 'checkTag'>
  readonly settings: BuildsSettings
  /** The branch of a dataset that is agreed on. @throws NodeError DATASET_NOT_FOUND, NOT_FOUND. */
  readonly truthOf: (dataset: string) => Promise<string>
  /** Whether git may call that place. @throws NodeError. */
  readonly checkUrl: (url: string) => Promise<unknown>
  readonly freeBytesMin: () => number
  /** For the files and logs of builds. */
  readonly directory: string
  readonly clock: Clock
  readonly log: Logger
}

export interface BuildWish {
  /** What the image is to be called here; default: `mao-build:<id>`. */
  readonly tag?: string | undefined
  /** Path of the Dockerfile within the files. */
  readonly dockerfile?: string | undefined
  readonly noCache?: boolean | undefined
}

const STOPPED = new NodeError('CANCELLED', 'The node was stopped in the middle of the build')
const CANCELLED = new NodeError('CANCELLED', 'cancelled on request')

export class Builds implements Startable {
  readonly #parts: BuildsParts
  readonly #ids: RunIds
  readonly #logs = new Map<string, BuildLog>()
  /** Of the build at work. */
  #current: { readonly id: string; readonly abort: AbortController } | undefined
  #working: Promise<void> = Promise.resolve()
  #started = false
  #receiving = 0

  constructor(parts: BuildsParts) {
    this.#parts = parts
    this.#ids = new RunIds(parts.clock)
  }

  async start(): Promise<void> {
    if (this.#started) return
    const { store } = this.#parts
    await store.load()
    const newest = store.list().at(-1)
    if (newest !== undefined) this.#ids.follow(newest.id.slice(ID_PREFIX.length))
    for (const build of store.list().filter(({ state }) => state === 'building')) {
      await this.#end(build.id, { state: 'lost', reason: 'the node was ended in the middle of the build' })
    }
    this.#started = true
    this.#pump()
  }

  /** A build at work is lost; those that wait do so until the next start. */
  async stop(): Promise<void> {
    this.#started = false
    this.#current?.abort.abort(STOPPED)
    await this.#working
  }

  /** Oldest first. */
  list(): Build[] {
    return this.#parts.store.list()
  }

  /** @throws NodeError NOT_FOUND */
  get(id: string): Build {
    return this.#parts.store.get(id)
  }

  /**
   * Queues a build of the files in a tar archive, once they have all come.
   *
   * @throws NodeError FORBIDDEN, QUEUE_FULL, INVALID_INPUT, PATH_UNSAFE, TOO_LARGE, DISK_FULL, CONFLICT for the tag of
   * another's image.
   */
  async submitFiles(archive: AsyncIterable<Uint8Array>, wish: BuildWish): Promise<Build> {
    const { settings, freeBytesMin } = this.#parts
    const { id, wanted } = await this.#admit(wish)
    this.#receiving += 1
    try {
      const directory = this.contextOf(id)
      await mkdir(directory, { recursive: true, mode: 0o700 })
      const { contextBytes: bytesMax, contextEntries: entriesMax } = settings
      const limits = { bytesMax, entriesMax, freeBytesMin: freeBytesMin() }
      const { files, bytes } = await takeContext(archive, directory, limits)
      const sha256 = await contextSha256(directory, await contextFiles(directory))
      return await this.#enqueue({ id, ...wanted, source: { kind: 'upload', sha256, files, bytes } })
    } catch (error) {
      await rm(this.directoryOf(id), { recursive: true, force: true })
      throw error
    } finally {
      this.#receiving -= 1
    }
  }

  /**
   * Queues a build of `URL[#ref[:directory]]`, which is fetched when its turn comes.
   *
   * @throws NodeError FORBIDDEN, QUEUE_FULL, INVALID_INPUT, UNSUPPORTED, CONFLICT.
   */
  async submitGit(reference: string, wish: BuildWish): Promise<Build> {
    const source = parseGitReference(reference)
    await this.#parts.checkUrl(source.url)
    const { id, wanted } = await this.#admit(wish)
    return this.#enqueue({ id, ...wanted, source: { kind: 'git', ...source } })
  }

  /** Queues a build of the files of a dataset. @throws NodeError DATASET_NOT_FOUND, NOT_FOUND and those of `submitGit`. */
  async submitDataset(
    from: { dataset: string; commit?: string | undefined; directory?: string | undefined },
    wish: BuildWish,
  ): Promise<Build> {
    const { dataset, directory } = from
    const commit = from.commit ?? (await this.#parts.truthOf(dataset))
    const below = directory === undefined ? {} : { directory: parseContextPath(directory) }
    const { id, wanted } = await this.#admit(wish)
    return this.#enqueue({ id, ...wanted, source: { kind: 'dataset', dataset, commit, ...below } })
  }

  /** Ends a build wherever it is; one that has ended stays as it is. @throws NodeError NOT_FOUND */
  async cancel(id: string): Promise<Build> {
    const { state } = this.get(id)
    if (state === 'queued') await this.#end(id, { state: 'cancelled', reason: CANCELLED.message })
    if (this.#current?.id === id) {
      const working = this.#working
      this.#current.abort.abort(CANCELLED)
      await working
    }
    return this.get(id)
  }

  /**
   * What a build printed, from a byte on; with `follow`, until it has ended.
   *
   * @throws NodeError NOT_FOUND
   */
  async *log(
    id: string,
    options: { from?: number; follow?: boolean; signal?: AbortSignal } = {},
  ): AsyncGenerator<Buffer> {
    const { follow = false, signal = new AbortController().signal } = options
    let at = options.from ?? 0
    this.get(id)
    for (;;) {
      // Asked first, so that nothing is missed that comes while the file is read.
      const ended = isBuildEnd(this.get(id).state)
      const over = new AbortController()
      const news = this.#logOf(id).more(AbortSignal.any([signal, over.signal]))
      for await (const bytes of readBuildLog(this.#logPath(id), at)) {
        at += bytes.length
        yield bytes
      }
      if (ended || !follow || signal.aborted) return over.abort()
      await news
    }
  }

  /** Where the files and the log of a build are. */
  directoryOf(id: string): string {
    return join(this.#parts.directory, id)
  }

  contextOf(id: string): string {
    return join(this.directoryOf(id), 'context')
  }

  #logPath(id: string): string {
    return join(this.directoryOf(id), 'log')
  }

  #logOf(id: string): BuildLog {
    const log = this.#logs.get(id) ?? new BuildLog(this.#logPath(id))
    // Of an ended build nobody will write again.
    if (!isBuildEnd(this.get(id).state)) this.#logs.set(id, log)
    return log
  }

  async #admit(
    wish: BuildWish,
  ): Promise<{ id: string; wanted: Pick<Build, 'tag' | 'dockerfile' | 'noCache'> }> {
    const { settings, store, work } = this.#parts
    if (!settings.enabled) {
      throw new NodeError('FORBIDDEN', 'This node builds no images (setting execution.builds.enabled)')
    }
    const waiting = store.list().filter(({ state }) => state === 'queued').length + this.#receiving
    if (waiting >= buildsWaitingMax) {
      throw new NodeError('QUEUE_FULL', `${waiting} builds wait already; try again when some have ended`)
    }
    const id = `${ID_PREFIX}${this.#ids.next()}`
    const tag = wish.tag ?? `mao-build:${id}`
    if (wish.tag !== undefined) await work.checkTag(wish.tag)
    const dockerfile = parseContextPath(wish.dockerfile ?? 'Dockerfile')
    return { id, wanted: { tag, dockerfile, noCache: wish.noCache ?? false } }
  }

  async #enqueue(wanted: Pick<Build, 'id' | 'tag' | 'dockerfile' | 'noCache'> & { source: BuildSource }) {
    const { store, clock } = this.#parts
    const build = newBuild(wanted, clock.now())
    await store.save(build)
    this.#pump()
    return build
  }

  /** Begins the next build when none is at work. */
  #pump(): void {
    if (!this.#started || this.#current !== undefined) return
    const next = this.#parts.store.list().find(({ state }) => state === 'queued')
    if (next === undefined) return
    const abort = new AbortController()
    this.#current = { id: next.id, abort }
    this.#working = this.#run(next.id, abort.signal)
      .catch((error: unknown) => {
        this.#parts.log.error({ build: next.id, err: error }, 'a build met a defect')
      })
      .finally(() => {
        this.#current = undefined
        this.#pump()
      })
  }

  async #run(id: string, signal: AbortSignal): Promise<void> {
    const { settings, work, store, clock } = this.#parts
    const deadline = AbortSignal.timeout(settings.timeoutMs)
    const log = this.#logOf(id)
    try {
      signal.throwIfAborted()
      await this.#save(id, { state: 'building' })
      const result = await work.run({
        build: this.get(id),
        context: this.contextOf(id),
        signal: AbortSignal.any([signal, deadline]),
        say: (text) => log.write(text),
        note: async (patch) => store.save({ ...this.get(id), ...patch }),
      })
      await this.#end(id, { state: 'succeeded', image: result })
    } catch (error) {
      await this.#end(id, endOf(error, signal, deadline, settings.timeoutMs))
      if (!isNodeError(error) || error.code === 'INTERNAL') throw error
    } finally {
      await this.#forgetOld()
      this.#parts.log.debug({ build: id, tookMs: clock.now() - this.get(id).createdMs }, 'a build ended')
    }
  }

  async #save(id: string, change: Omit<BuildChange, 'timeMs'>): Promise<void> {
    const { store, clock } = this.#parts
    await store.save(advanceBuild(this.get(id), { ...change, timeMs: clock.now() }))
  }

  /** The last word stands in the log too, since that is what people read; then the files go. */
  async #end(id: string, change: Omit<BuildChange, 'timeMs'>): Promise<void> {
    const log = this.#logOf(id)
    const { reason } = change
    try {
      await log.write(`[${change.state}${reason === undefined ? '' : `: ${reason}`}]\n`)
    } catch (error) {
      this.#parts.log.warn({ build: id, error: messageOf(error) }, 'the end of a log was not written')
    }
    await this.#save(id, change)
    await log.close()
    this.#logs.delete(id)
    await rm(this.contextOf(id), { recursive: true, force: true })
  }

  async #forgetOld(): Promise<void> {
    for (const old of await this.#parts.store.prune()) {
      await rm(this.directoryOf(old), { recursive: true, force: true })
    }
  }
}

const ID_PREFIX = 'b-'

function endOf(
  error: unknown,
  signal: AbortSignal,
  deadline: AbortSignal,
  timeoutMs: number,
): Omit<BuildChange, 'timeMs'> {
  if (signal.reason === CANCELLED) return { state: 'cancelled', reason: CANCELLED.message }
  if (signal.aborted) return { state: 'lost', reason: STOPPED.message }
  if (deadline.aborted) {
    const reason = `The build took longer than ${timeoutMs} ms (setting execution.builds.timeoutMs)`
    return { state: 'failed', reason, code: 'TIMED_OUT' }
  }
  return { state: 'failed', reason: messageOf(error), code: isNodeError(error) ? error.code : 'INTERNAL' }
}
