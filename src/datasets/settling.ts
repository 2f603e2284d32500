import { messageOf } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { datasetsSettledAtOnceMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { Copies } from './copies.ts'
import type { DatasetEvent } from './dataset-events.ts'
import type { Followed } from './followed.ts'
import type { GroundTruths } from './ground-truths.ts'
import type { KnownDatasets } from './known-datasets.ts'
import type { OwnBranches } from './own-branches.ts'
import type { ReplicaReports } from './replica-reports.ts'
import type { Replicator } from './replicator.ts'

export interface SettlingParts {
  readonly known: KnownDatasets
  readonly copies: Copies
  readonly truths: GroundTruths
  readonly own: OwnBranches
  readonly followed: Followed
  readonly replicator: Replicator
  readonly reports: ReplicaReports
  readonly emit: (event: DatasetEvent) => void
  readonly log: Logger
}

/** Brings a dataset's copy, its branches and what is told of it in step with its record, whenever that changes. */
export class Settling implements Startable {
  readonly #parts: SettlingParts
  /** Id of the dataset that each name was last seen to have. */
  readonly #seen = new Map<string, string>()
  /** Names that have changed; one that is at work already is looked at again once that is done. */
  readonly #due = new Set<string>()
  readonly #running = new Map<string, Promise<void>>()
  #unwatch: (() => void) | undefined

  constructor(parts: SettlingParts) {
    this.#parts = parts
  }

  /** Takes up every dataset that is known. */
  async start(): Promise<void> {
    if (this.#unwatch !== undefined) return
    const { known } = this.#parts
    this.#unwatch = known.watch((name) => this.#soon(name))
    const all = known.list()
    for (const { name, id } of all) this.#seen.set(name, id)
    const names = all.values()
    const work = async () => {
      for (const { name } of names) await this.#settle(name)
    }
    await Promise.all(Array.from({ length: datasetsSettledAtOnceMax }, work))
    for (const place of [...known.copies().keys()]) {
      if (known.isGone(place)) await this.#parts.copies.removed(place)
    }
  }

  async stop(): Promise<void> {
    this.#unwatch?.()
    this.#unwatch = undefined
    this.#due.clear()
    await Promise.all(this.#running.values())
    this.#seen.clear()
  }

  #soon(name: string): void {
    if (this.#unwatch === undefined) return
    this.#due.add(name)
    this.#proceed()
  }

  #proceed(): void {
    for (const name of this.#due) {
      if (this.#running.size >= datasetsSettledAtOnceMax) return
      if (this.#running.has(name)) continue
      this.#due.delete(name)
      const running = this.#follow(name).finally(() => {
        this.#running.delete(name)
        this.#proceed()
      })
      this.#running.set(name, running)
    }
  }

  async #follow(name: string): Promise<void> {
    await this.#tell(name)
    await this.#settle(name)
    this.#parts.followed.lookAt(name)
  }

  async #tell(name: string): Promise<void> {
    const { known, copies, emit } = this.#parts
    const now = known.get(name)
    const before = this.#seen.get(name)
    if (now === undefined) this.#seen.delete(name)
    else this.#seen.set(name, now.id)
    for (const place of [name, `local/${name}`]) {
      if (known.isGone(place))
        await copies.removed(place).catch((error: unknown) => this.#failed(name, error))
    }
    if (now === undefined && before !== undefined) emit({ type: 'removed', dataset: name })
    if (now !== undefined && before !== now.id) {
      emit({ type: 'founded', dataset: name, id: now.id, policy: now.policy })
    }
  }

  /** One repository that does not open must not keep the node from its other work. */
  async #settle(name: string): Promise<void> {
    const { known, copies, truths, own, replicator, reports } = this.#parts
    if (known.get(name) === undefined) return
    try {
      await copies.ready(name)
      await truths.settle(name)
      await own.reconcile(name)
      await own.retract(name)
    } catch (error) {
      this.#failed(name, error)
    }
    replicator.look(name)
    reports.touch(name)
  }

  #failed(dataset: string, error: unknown): void {
    this.#parts.log.error({ dataset, error: messageOf(error) }, 'a dataset could not be brought in step')
  }
}
