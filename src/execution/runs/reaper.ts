/**
 * Removes the containers that nobody waits for: those of an earlier life of this node, and those that could not be
 * removed when their run ended because the engine had gone. By the labels of this node and of its runs, on all engines,
 * at start and from time to time, since an engine that does not answer now may come back with them.
 */
import { messageOf } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import { reapIntervalMs } from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import { delay } from '../../base/wait.ts'
import { type ContainerEngine, NODE_LABEL, RUN_LABEL } from '../engines/engine.ts'
import { type Engines, LOCAL_ENGINE } from '../engines/engines.ts'
import { isEnded } from './run.ts'
import type { RunStore } from './run-store.ts'

export interface ReaperParts {
  readonly engines: Pick<Engines, 'ids' | 'of'>
  /** This node's peer id. */
  readonly peer: string
  readonly store: Pick<RunStore, 'list'>
  readonly intervalMs?: number
  readonly log: Logger
}

export class Reaper implements Startable {
  readonly #parts: ReaperParts
  /** Engines whose silence has been told. */
  readonly #silent = new Set<string>()
  #stopping: AbortController | undefined
  #looking: Promise<void> = Promise.resolve()

  constructor(parts: ReaperParts) {
    this.#parts = parts
  }

  /**
   * Has looked at every engine that answers when this resolves. Nothing of this life is at work yet, whatever the store
   * still says of the runs that were cut.
   */
  async start(): Promise<void> {
    if (this.#stopping !== undefined) return
    this.#stopping = new AbortController()
    await this.#look([])
    this.#looking = this.#again(this.#stopping.signal)
  }

  async stop(): Promise<void> {
    this.#stopping?.abort()
    this.#stopping = undefined
    await this.#looking
  }

  /** Looks at all engines at once; never throws. */
  async #look(atWork?: readonly string[]): Promise<void> {
    await Promise.all(this.#parts.engines.ids.map((id) => this.#lookAt(id, atWork)))
  }

  async #again(signal: AbortSignal): Promise<void> {
    const { intervalMs = reapIntervalMs } = this.#parts
    for (;;) {
      await delay(intervalMs, signal).catch(() => undefined)
      if (signal.aborted) return
      await this.#look()
    }
  }

  async #lookAt(id: string, atWork?: readonly string[]): Promise<void> {
    const { engines, log } = this.#parts
    try {
      const engine = engines.of(id)
      // Quick where no engine answers, so that the node's start does not wait for one.
      await engine.ping()
      const left = await this.#leftOn(engine, () => atWork ?? this.#atWorkOn(id))
      for (const container of left) await engine.remove(container)
      if (left.length > 0)
        log.warn({ engine: id, containers: left.length }, 'containers nobody waits for were removed')
      this.#silent.delete(id)
    } catch (error) {
      if (this.#silent.has(id)) return
      this.#silent.add(id)
      log.warn({ engine: id, error: messageOf(error) }, 'containers of earlier runs may be left on an engine')
    }
  }

  /**
   * All of this node's but those of runs at work there. In this order: a container that is made between the two questions
   * is in the second answer alone, and one whose run ends between them is being removed anyway.
   */
  async #leftOn(engine: ContainerEngine, atWork: () => readonly string[]): Promise<string[]> {
    const ours = await engine.find(NODE_LABEL, this.#parts.peer)
    if (ours.length === 0) return []
    const wanted = await Promise.all(atWork().map((run) => engine.find(RUN_LABEL, run)))
    const kept = new Set(wanted.flat())
    return ours.filter((container) => !kept.has(container))
  }

  /** A run that is tried again on another engine has nothing to do any more on the one where it was. */
  #atWorkOn(engine: string): string[] {
    return this.#parts.store
      .list()
      .filter((run) => run.state !== 'queued' && !isEnded(run))
      .filter(({ allocation }) => (allocation?.engine ?? LOCAL_ENGINE) === engine)
      .map(({ id }) => id)
  }
}
