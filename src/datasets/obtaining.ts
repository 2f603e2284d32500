import { type ErrorCode, isNodeError, messageOf, NodeError } from '../base/errors.ts'
import type { Members } from '../federation/members.ts'
import type { Collection } from '../registry/collection.ts'
import type { HeadRecord } from './heads.ts'
import type { KnownDatasets } from './known-datasets.ts'
import type { Replicator } from './replicator.ts'
import type { Shelf } from './shelf.ts'

export interface ObtainingParts {
  readonly self: string
  /** Whether a member may have a dataset, by what is granted. */
  readonly mayRead: (peer: string, dataset: string) => boolean
  readonly members: Pick<Members, 'get'>
  readonly known: KnownDatasets
  readonly heads: Collection<HeadRecord>
  readonly shelf: Shelf
  readonly replicator: Replicator
}

/** What a failed fetch says that asking somebody else would not change. */
const TELLING: readonly ErrorCode[] = [
  'PATH_UNSAFE',
  'PACK_REJECTED',
  'TOO_LARGE',
  'DATASET_WITHHELD',
  'QUOTA_EXCEEDED',
  'DISK_FULL',
]

/** Brings here what is wanted now, whether or not the dataset is followed. */
export class Obtaining {
  readonly #parts: ObtainingParts

  constructor(parts: ObtainingParts) {
    this.#parts = parts
  }

  /**
   * Makes sure that a commit with all it needs is here.
   *
   * @throws NodeError DATASET_NOT_FOUND, DATASET_WITHHELD where the objects stay elsewhere, COMMIT_NOT_FOUND where nobody
   * else can have it, PEER_UNREACHABLE when nobody who is connected has it, TIMED_OUT when the signal came first.
   */
  async ensure(dataset: string, commit: string, options: { signal?: AbortSignal }): Promise<void> {
    const { known, shelf, replicator } = this.#parts
    const { policy } = known.need(dataset)
    if (await (await shelf.openIfHere(dataset))?.isWhole(commit, options.signal)) return
    if (policy === 'local-only') {
      const message = `The dataset ${dataset} is local-only, and ${commit} is not here`
      throw new NodeError('COMMIT_NOT_FOUND', message, { dataset, commit })
    }
    this.checkShared(dataset, 'let the tools that need them run there')
    const author = this.#announcerOf(dataset, commit)
    const asked = { urgent: true, ...(author === undefined ? {} : { author }), ...options }
    try {
      await replicator.fetch(dataset, [commit], asked)
    } catch (cause) {
      if (options.signal?.aborted === true) {
        const message = `The commit ${commit} of ${dataset} did not arrive in time`
        throw new NodeError('TIMED_OUT', message, { dataset, commit }, { cause })
      }
      if (TELLING.some((code) => isNodeError(cause, code))) throw cause
      const message = `No member that is connected could give the commit ${commit} of ${dataset}: ${messageOf(cause)}`
      throw new NodeError('PEER_UNREACHABLE', message, { dataset, commit }, { cause })
    }
  }

  /** Everything that members have announced. @throws NodeError DATASET_NOT_FOUND, DATASET_WITHHELD, what fetching throws. */
  async all(
    dataset: string,
    options: { signal?: AbortSignal; onFailure?: (member: string, error: unknown) => void } = {},
  ): Promise<void> {
    this.checkShared(dataset, 'there is nothing to fetch')
    await this.#parts.replicator.followNow(dataset, options)
  }

  /** @throws NodeError DATASET_NOT_FOUND, DATASET_WITHHELD with where the objects are, and what follows from it. */
  checkShared(name: string, consequence: string): void {
    const { policy, owner } = this.#parts.known.need(name)
    const custodian = this.#parts.members.get(owner)?.name ?? owner
    if (policy === 'shared') {
      if (this.#parts.mayRead(this.#parts.self, name)) return
      // [A3] Nobody would give it, so nobody is asked.
      const message = `Only members with a grant may have ${name}, and this node has none; ask ${custodian} or an operator for "maoctl dataset access grant ${name} ${this.#parts.members.get(this.#parts.self)?.name ?? this.#parts.self} --read"`
      throw new NodeError('FORBIDDEN', message, { name, custodian })
    }
    const message =
      policy === 'local-only'
        ? `The dataset ${name} is local-only and stays on this node; ${consequence}`
        : `The dataset ${name} is compute-only: its objects stay with ${custodian}; ${consequence}`
    throw new NodeError('DATASET_WITHHELD', message, { name, policy, custodian })
  }

  #announcerOf(dataset: string, commit: string): string | undefined {
    const heads = this.#parts.heads.list(`${dataset}/`)
    return heads.find(({ value }) => Object.values(value.branches).includes(commit))?.entry.author
  }
}
