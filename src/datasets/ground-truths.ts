import { messageOf } from '../base/errors.ts'
import { storeQueueMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import type { Collection } from '../registry/collection.ts'
import type { DatasetEvent } from './dataset-events.ts'
import { initialTruth } from './dataset-record.ts'
import { TRUTH_BRANCH } from './git/git-directory.ts'
import type { HeadRecord } from './heads.ts'
import type { Known, KnownDatasets } from './known-datasets.ts'
import type { Shelf } from './shelf.ts'

export interface GroundTruthsParts {
  readonly self: string
  readonly known: KnownDatasets
  readonly heads: Pick<Collection<HeadRecord>, 'get'>
  readonly shelf: Shelf
  readonly emit: (event: DatasetEvent) => void
  readonly log: Logger
}

/**
 * The agreed state of each dataset, as a branch that only certificates and the dataset's own beginning move; where
 * nobody can vote, because the objects are not given away, the owner's newest commit.
 */
export class GroundTruths {
  readonly #parts: GroundTruthsParts
  /** Whoever moves a ground truth looks at it first. */
  readonly #moves = new SerialQueue(storeQueueMax)
  /** What was certified of datasets that this node does not copy, by their ids. */
  readonly #agreed = new Map<string, string>()
  #ended = false

  constructor(parts: GroundTruthsParts) {
    this.#parts = parts
  }

  /** The agreed commit, else what the dataset was founded with; neither need be here. */
  async get(name: string): Promise<string | undefined> {
    const { known, shelf } = this.#parts
    await shelf.openIfHere(name)
    const now = known.get(name)
    return now === undefined ? undefined : this.shown(now)
  }

  /** The same, as far as the repository has been opened. */
  shown(known: Known): string | undefined {
    const { self, heads, shelf } = this.#parts
    const { name, id, policy, owner, record } = known
    const told =
      policy === 'compute-only' && owner !== self ? heads.get(`${name}/${owner}`)?.value.truth : undefined
    return this.#agreed.get(id) ?? told ?? shelf.branches(name).get(TRUTH_BRANCH) ?? record.initial
  }

  /** Remembers what was certified, without bringing it here. */
  note(dataset: string, commit: string): void {
    const { known, emit } = this.#parts
    const { id } = known.need(dataset)
    if (this.#agreed.get(id) === commit) return
    this.#agreed.set(id, commit)
    emit({ type: 'truth', dataset, commit })
  }

  /** Moves the ground truth wherever it is told. @throws NodeError COMMIT_NOT_FOUND when the commit is not here yet. */
  async move(dataset: string, commit: string): Promise<void> {
    const { shelf, emit, known } = this.#parts
    await shelf.open(dataset)
    const moved = await this.#moves.run(async () => {
      const held = shelf.branches(dataset).get(TRUTH_BRANCH)
      if (held === commit) return false
      await shelf.move(dataset, TRUTH_BRANCH, commit, held)
      return true
    })
    const id = known.get(dataset)?.id ?? ''
    const told = this.#agreed.get(id) === commit
    this.#agreed.delete(id)
    if (moved && !told) emit({ type: 'truth', dataset, commit })
  }

  /** A commit has come onto a branch of ours: where nobody votes, it is the truth. */
  async followOwn(dataset: string, commit: string): Promise<void> {
    const now = this.#parts.known.get(dataset)
    if (now === undefined || now.policy === 'shared' || now.owner !== this.#parts.self) return
    await this.move(dataset, commit)
  }

  /** Sets the truth of a dataset that is here to its beginning while nothing else was agreed. */
  settle(name: string): Promise<void> {
    return this.#moves.run(async () => {
      const { known, shelf } = this.#parts
      if (this.#ended || known.get(name) === undefined) return
      const repository = await shelf.openIfHere(name)
      if (repository === undefined) return
      const held = shelf.branches(name).get(TRUTH_BRANCH)
      // A beginning that somebody claims later moves nothing that was agreed on, or that its owner says.
      if (held !== undefined && (known.isAgreed(name) || known.need(name).policy !== 'shared')) return
      const initial = initialTruth(held, known.initials(name))
      if (initial !== undefined && (await repository.hasCommit(initial))) {
        await shelf.move(name, TRUTH_BRANCH, initial, held)
      }
    })
  }

  settleSoon(name: string): void {
    this.settle(name).catch((error: unknown) => {
      if (this.#ended) return
      this.#parts.log.warn({ dataset: name, error: messageOf(error) }, 'a dataset could not be prepared')
    })
  }

  /** Ends once nothing is moving any more. */
  async stop(): Promise<void> {
    this.#ended = true
    await this.#moves.idle()
  }
}
