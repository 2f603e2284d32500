import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { NodeError } from '../base/errors.ts'
import { formerIdsMax } from '../base/limits.ts'
import { parseName } from '../base/names.ts'
import type { Members } from '../federation/members.ts'
import type { Access } from './access.ts'
import { branchOf } from './branches.ts'
import type { Copies } from './copies.ts'
import { type DatasetRecord, datasetId } from './dataset-record.ts'
import { receiveBundle } from './founding/bundle.ts'
import type { GroundTruths } from './ground-truths.ts'
import { type KnownDatasets, placeOf } from './known-datasets.ts'
import type { OwnBranches } from './own-branches.ts'
import type { Policy } from './policies.ts'
import type { Shelf } from './shelf.ts'
import type { TruthRules } from './truth-rule.ts'

/** What whoever founds a dataset may say of it. */
export interface Founding {
  readonly description?: string
  /** `shared` by default. */
  readonly policy?: Policy
  /** How many members beside this one are to keep a copy; every one by default. */
  readonly replicas?: number
}

/** What the owner of a dataset, or an operator, may change of it later; null takes a word back. */
export interface DatasetChange {
  readonly description?: string
  readonly replicas?: number | null
  readonly upstream?: DatasetRecord['upstream'] | null
  /** Who may have it and who votes on it. */
  readonly access?: Access
  /** How results become its ground truth; with nothing in it, byte for byte. */
  readonly truth?: TruthRules
  /** Only for the owner, on its own node. */
  readonly policy?: Exclude<Policy, 'local-only'>
}

export interface FoundingsParts {
  readonly self: string
  readonly members: Pick<Members, 'self'>
  readonly known: KnownDatasets
  readonly copies: Copies
  readonly shelf: Shelf
  readonly own: OwnBranches
  readonly truths: GroundTruths
  readonly clock: Clock
}

const IMPORT_STEP = 'import'

/** Founds datasets: with nothing, with what a directory holds, or with a history from elsewhere. */
export class Foundings {
  readonly #parts: FoundingsParts
  readonly #busy = new Set<string>()

  constructor(parts: FoundingsParts) {
    this.#parts = parts
  }

  /** An empty one. @throws NodeError INVALID_NAME, ALREADY_EXISTS. */
  async add(name: string, founding: Founding): Promise<void> {
    await this.#found(name, founding, async () => {
      await this.#parts.shelf.open(name)
      return undefined
    })
  }

  /** @throws NodeError INVALID_NAME, ALREADY_EXISTS, PATH_UNSAFE, INVALID_INPUT (no such directory). */
  async importDirectory(name: string, directory: string, founding: Founding): Promise<void> {
    await this.#found(name, founding, async (createdBy) => {
      const message = `Import ${name}\n\nDataset: ${name}\nImported-By: ${createdBy}\n`
      const request = { dataset: name, step: IMPORT_STEP, directory, message }
      return (await this.#parts.own.commit(request)).commit
    })
  }

  /** @throws NodeError INVALID_NAME, ALREADY_EXISTS, INVALID_INPUT when the bundle does not hold, PATH_UNSAFE. */
  async importBundle(
    name: string,
    bundle: AsyncIterable<Uint8Array>,
    founding: Founding,
    signal: AbortSignal,
  ): Promise<void> {
    const { shelf, own } = this.#parts
    await this.#found(name, founding, async (createdBy) => {
      const { commit } = await receiveBundle(await shelf.open(name), bundle, signal)
      const branch = branchOf(IMPORT_STEP, createdBy)
      await own.adopt({ dataset: name, branch, commit, from: undefined })
      return commit
    })
  }

  /** Changes what is said of a dataset. @throws NodeError DATASET_NOT_FOUND, FORBIDDEN, CONFLICT (another's claim). */
  async edit(
    name: string,
    { description, replicas, upstream, policy, access, truth }: DatasetChange,
  ): Promise<void> {
    const { known } = this.#parts
    const { record } = known.need(name)
    const { replicas: wanted, upstream: source, truth: rules, ...rest } = record
    const said = truth ?? rules
    const [copies, from] = [
      replicas === undefined ? wanted : replicas,
      upstream === undefined ? source : upstream,
    ]
    const changed = {
      ...rest,
      ...(policy === undefined ? {} : { policy }),
      ...(access === undefined ? {} : { access }),
      ...(description === undefined ? {} : { description }),
      ...(copies == null ? {} : { replicas: copies }),
      ...(from == null ? {} : { upstream: from }),
      ...(said === undefined || Object.keys(said).length === 0 ? {} : { truth: said }),
    }
    if (policy === undefined) return known.write(name, changed)
    const promise = this.#promise(name, policy)
    await this.#parts.copies.ready(name)
    // Whatever becomes of the other in between, the stricter of the two counts.
    if (policy !== 'shared') await promise()
    await known.write(name, changed)
    if (policy === 'shared') await promise()
  }

  /**
   * How to promise anew what becomes of a dataset's objects. [MUST] What a node promised of them is its own to take back
   * (dataset-heads.md H13).
   *
   * @throws NodeError FORBIDDEN
   */
  #promise(name: string, policy: Policy): () => Promise<void> {
    const { known, self } = this.#parts
    const { id, owner, policy: before } = known.need(name)
    if (owner !== self || before === 'local-only') {
      const message = `The policy of ${name} is not this node's to change: ${before === 'local-only' ? 'it is local-only; found a shared dataset with its files' : 'another member founded it'}`
      throw new NodeError('FORBIDDEN', message, { name, policy })
    }
    return () => known.promise(name, { id, policy, owner })
  }

  /** Removes what a crash has left of foundings that did not come to their end. */
  async tidy(): Promise<void> {
    const { known, shelf } = this.#parts
    for (const [place, row] of [...known.copies()]) {
      if (row.founding !== true) continue
      const name = place.slice(place.lastIndexOf('/') + 1)
      if (known.get(name)?.id === row.id) {
        const { founding, ...whole } = row
        await known.setCopy(place, whole)
        continue
      }
      await shelf.remove(place)
      await known.forgetCopy(place)
    }
  }

  /** The record comes last, so that a dataset exists only when its beginning does; and the head after the record. */
  async #found(
    name: string,
    { description = '', policy = 'shared', replicas }: Founding,
    begin: (createdBy: string) => Promise<string | undefined>,
  ): Promise<void> {
    const { self, members, known, copies, shelf, own, truths, clock } = this.#parts
    parseName('dataset', name)
    if (known.get(name) !== undefined || this.#busy.has(name)) {
      throw new NodeError('ALREADY_EXISTS', `There is a dataset named ${name} already`, { name })
    }
    this.#busy.add(name)
    try {
      const createdBy = members.self().name
      const place = placeOf(name, policy === 'local-only')
      const before = [...known.claims(name).map((claim) => claim.id), known.copy(place)?.id]
      const former = [...new Set(before.filter((id) => id !== undefined))]
      await copies.clear(place)
      const seed = randomBytes(16).toString('hex')
      const id = datasetId(self, name, seed)
      await known.begin(name, { id, policy, owner: self })
      try {
        const initial = await begin(createdBy)
        await known.complete(name, {
          ...{
            id,
            seed,
            founder: self,
            foundedMs: clock.now(),
            former: former.slice(0, formerIdsMax),
            description,
            policy,
            createdBy,
          },
          ...(initial === undefined ? {} : { initial }),
          ...(replicas === undefined ? {} : { replicas }),
        })
      } catch (error) {
        if (!known.isWritten(name, id)) {
          await shelf.remove(place)
          await known.abandon(name)
        }
        throw error
      }
      await truths.settle(name)
      await own.reconcile(name)
    } finally {
      this.#busy.delete(name)
    }
  }
}
