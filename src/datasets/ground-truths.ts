import { messageOf } from '../base/errors.ts'
import { storeQueueMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import { type Collection, decodeJson } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import type { DatasetEvent } from './dataset-events.ts'
import { DATASET_PREFIX, type DatasetRecord, datasetSchema, initialTruth } from './dataset-record.ts'
import { TRUTH_BRANCH } from './git/git-directory.ts'
import type { Shelf } from './shelf.ts'

export interface GroundTruthsParts {
  readonly registry: Pick<Registry, 'claims'>
  readonly records: Pick<Collection<DatasetRecord>, 'get'>
  readonly shelf: Shelf
  readonly emit: (event: DatasetEvent) => void
  readonly log: Logger
}

/** The agreed state of each dataset, as a branch that only certificates and the dataset's own beginning move. */
export class GroundTruths {
  readonly #parts: GroundTruthsParts
  /** Whoever moves a ground truth looks at it first. */
  readonly #moves = new SerialQueue(storeQueueMax)
  #ended = false

  constructor(parts: GroundTruthsParts) {
    this.#parts = parts
  }

  /** The agreed commit, else what the dataset was founded with. */
  async get(name: string): Promise<string | undefined> {
    const { records, shelf } = this.#parts
    await shelf.open(name)
    return shelf.branches(name).get(TRUTH_BRANCH) ?? records.get(name)?.value.initial
  }

  /** Moves the ground truth wherever it is told. @throws NodeError COMMIT_NOT_FOUND when the commit is not here yet. */
  async move(dataset: string, commit: string): Promise<void> {
    const { shelf, emit } = this.#parts
    await shelf.open(dataset)
    const moved = await this.#moves.run(async () => {
      const held = shelf.branches(dataset).get(TRUTH_BRANCH)
      if (held === commit) return false
      await shelf.move(dataset, TRUTH_BRANCH, commit, held)
      return true
    })
    if (moved) emit({ type: 'truth', dataset, commit })
  }

  /** Opens the repository of a dataset, and sets its truth to its beginning while nothing else was agreed. */
  settle(name: string): Promise<void> {
    return this.#moves.run(async () => {
      const { registry, records, shelf } = this.#parts
      if (this.#ended || records.get(name) === undefined) return
      const repository = await shelf.open(name)
      const claims = registry.claims(DATASET_PREFIX + name)
      const initials = claims.map(({ value }) => datasetSchema.safeParse(decodeJson(value)).data?.initial)
      const held = shelf.branches(name).get(TRUTH_BRANCH)
      const initial = initialTruth(held, initials)
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
