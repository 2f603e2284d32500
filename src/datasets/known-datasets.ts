import { type Database, DURABLE, type Table, table } from '../base/database.ts'
import { NodeError } from '../base/errors.ts'
import { type Collection, decodeJson } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import {
  DATASET_PREFIX,
  type DatasetRecord,
  datasetId,
  datasetSchema,
  idOf,
  type LocalRecord,
  localDatasetSchema,
  type SharedRecord,
} from './dataset-record.ts'
import { type Commitment, commitmentOf, type Policy } from './policies.ts'

/** A dataset as this node knows it now. */
export interface Known {
  readonly name: string
  readonly id: string
  readonly record: DatasetRecord
  /** What counts here: the record's, or stricter because of what was promised before. */
  readonly policy: Policy
  /** Peer id of the member whose promise the policy is, and who may take it back. */
  readonly promisedBy: string
  /** Peer id of the member that founded it, where its objects are unless they are shared. */
  readonly owner: string
  /** When it was founded, ms since the epoch; 0 where nobody said so. */
  readonly foundedMs: number
}

/** What this node remembers of its copy of a dataset, whatever becomes of the record. */
export interface CopyRow extends Commitment {
  readonly id: string
  /** Its record is not written yet; after a crash, nobody has ever seen it. */
  readonly founding?: true
  /** The dataset was removed: what is founded under this name later is another one. */
  readonly removed?: true
}

/** What one member claims of a name. */
export interface Claimed {
  readonly id: string
  readonly author: string
  readonly policy: Policy
  readonly initial: string | undefined
  /** When the author first claimed the name, ms since the epoch. */
  readonly sinceMs: number
  /** The id proves that the author founded the dataset. */
  readonly isFounder: boolean
}

export interface KnownDatasetsParts {
  readonly self: string
  readonly database: Database
  readonly registry: Pick<Registry, 'get' | 'claims' | 'knows'>
  readonly records: Collection<SharedRecord>
}

/**
 * All datasets that this node knows: those that the registry shares, and its own that nobody else learns of, which hide
 * a shared one of the same name.
 */
export class KnownDatasets {
  readonly #parts: KnownDatasetsParts
  readonly #localTable: Table<LocalRecord>
  readonly #copyTable: Table<CopyRow>
  readonly #local = new Map<string, LocalRecord>()
  /** By the bytes that they were read from. */
  readonly #records = new WeakMap<Uint8Array, SharedRecord | undefined>()
  /** By place, see `placeOf`. */
  readonly #copies = new Map<string, CopyRow>()
  /** Names that are being founded, and whether as local-only. */
  readonly #founding = new Map<string, boolean>()
  readonly #listeners = new Set<(name: string) => void>()

  constructor(parts: KnownDatasetsParts) {
    this.#parts = parts
    this.#localTable = table(parts.database, 'local-datasets')
    this.#copyTable = table(parts.database, 'dataset-copies')
  }

  async load(): Promise<void> {
    for (const kept of [this.#local, this.#copies]) kept.clear()
    for await (const [name, value] of this.#localTable.iterator()) {
      const parsed = localDatasetSchema.safeParse(value)
      if (parsed.success) this.#local.set(name, parsed.data)
    }
    for await (const [place, row] of this.#copyTable.iterator()) this.#copies.set(place, row)
  }

  /** Undefined as well while this node founds a dataset of that name: what lies in its place is nobody's yet. */
  get(name: string): Known | undefined {
    if (this.#founding.has(name)) return undefined
    const { self, registry } = this.#parts
    const local = this.#local.get(name)
    if (local !== undefined) {
      const own = { policy: 'local-only', promisedBy: self, owner: self } as const
      return { name, id: idOf(name, local), record: local, foundedMs: 0, ...own }
    }
    const entry = registry.get(DATASET_PREFIX + name)
    const record = entry && this.#read(entry.value)
    if (entry === undefined || record === undefined) return undefined
    const shown = { policy: record.policy, author: entry.author }
    const [id, claims, row] = [idOf(name, record), this.claims(name), this.#copies.get(name)]
    const ids = claims.map((claim) => claim.id)
    // Whoever claims the name later, as an operator that changes what is said of it, has not founded it.
    const [founder = shown] = claims.filter((claim) => claim.id === id).sort(compareFoundings)
    const kept = row && belongs(row, id, record.former ?? [], ids) ? row : undefined
    const said = { policy: founder.policy, author: founder.author }
    const promised = kept ?? { policy: said.policy, owner: said.author }
    // The founder's claim may come after another's that is shown.
    const first = commitmentOf(promised, said, claims, self)
    const { policy, owner: promisedBy } = commitmentOf(first, shown, claims, self)
    const owner = promisedBy === self && policy !== 'shared' ? self : founder.author
    // Nobody is believed that it was founded after its record was written.
    const foundedMs = Math.min(record.foundedMs ?? 0, entry.timeMs)
    return { name, id, record, foundedMs, policy, promisedBy, owner }
  }

  /** Sorted by name. */
  list(): Known[] {
    const names = new Set([...this.#parts.records.list().map(({ name }) => name), ...this.#local.keys()])
    return [...names]
      .sort()
      .map((name) => this.get(name))
      .filter((known) => known !== undefined)
  }

  /** @throws NodeError DATASET_NOT_FOUND */
  need(name: string): Known {
    const known = this.get(name)
    if (known === undefined) throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${name}`, { name })
    return known
  }

  isLocal(name: string): boolean {
    return this.#founding.get(name) ?? this.#local.has(name)
  }

  /** What members claim of a shared name, the claim that is shown first; what was deleted with it included. */
  claims(name: string): Claimed[] {
    const claimed: Claimed[] = []
    for (const { value, author, sinceMs } of this.#parts.registry.claims(DATASET_PREFIX + name)) {
      const record = this.#read(value)
      if (record === undefined) continue
      const { policy, initial, seed } = record
      const id = idOf(name, record)
      const isFounder = seed !== undefined && id === datasetId(author, seed)
      claimed.push({ id, author, policy, initial, sinceMs, isFounder })
    }
    return claimed
  }

  /** Datasets are asked for many times between two changes of their records. */
  #read(value: Uint8Array): SharedRecord | undefined {
    if (!this.#records.has(value)) this.#records.set(value, datasetSchema.safeParse(decodeJson(value)).data)
    return this.#records.get(value)
  }

  /** What was founded with, of all who claim the name; the chosen one first. */
  initials(name: string): (string | undefined)[] {
    const local = this.#local.get(name)
    return local === undefined ? this.claims(name).map(({ initial }) => initial) : [local.initial]
  }

  copy(place: string): CopyRow | undefined {
    return this.#copies.get(place)
  }

  /** All places that are remembered. */
  copies(): ReadonlyMap<string, CopyRow> {
    return this.#copies
  }

  /** Whether the dataset of a place was removed; one that cannot be read, or was not heard of yet, is not. */
  isGone(place: string): boolean {
    const { registry } = this.#parts
    if (place.startsWith(LOCAL))
      return !this.#local.has(place.slice(LOCAL.length)) && !this.#isFoundedAt(place)
    const key = DATASET_PREFIX + place
    return registry.get(key) === undefined && registry.knows(key)
  }

  #isFoundedAt(place: string): boolean {
    return this.#founding.get(place.slice(LOCAL.length)) === true
  }

  async setCopy(place: string, row: CopyRow): Promise<void> {
    this.#copies.set(place, row)
    await this.#copyTable.put(place, row, DURABLE)
  }

  async forgetCopy(place: string): Promise<void> {
    this.#copies.delete(place)
    await this.#copyTable.del(place, DURABLE)
  }

  /** From here on the name is taken on this node, though nobody sees a dataset yet. */
  async begin(name: string, row: CopyRow): Promise<void> {
    const local = row.policy === 'local-only'
    this.#founding.set(name, local)
    await this.setCopy(placeOf(name, local), { ...row, founding: true })
  }

  /** Writes the record, with which the dataset is there. @throws NodeError what writing to the registry throws. */
  async complete(name: string, record: DatasetRecord): Promise<void> {
    const place = placeOf(name, this.isLocal(name))
    await this.write(name, record)
    const { founding, ...row } = this.#copies.get(place) as CopyRow
    await this.setCopy(place, row)
    this.#founding.delete(name)
    this.#tell(name)
  }

  /** Whether the record of a dataset that is being founded is there already. */
  isWritten(name: string, id: string): boolean {
    if (this.isLocal(name)) return this.#local.get(name)?.id === id
    return this.claims(name).some((claim) => claim.id === id)
  }

  /** Forgets a founding that did not come to its end. */
  async abandon(name: string): Promise<void> {
    const place = placeOf(name, this.isLocal(name))
    if (this.#copies.get(place)?.founding === true) await this.forgetCopy(place)
    this.#founding.delete(name)
    this.#tell(name)
  }

  async write(name: string, record: DatasetRecord): Promise<void> {
    const { policy, ...rest } = record
    if (policy !== 'local-only') {
      await this.#parts.records.put(name, { ...rest, policy })
      return
    }
    const local = { ...rest, policy }
    await this.#localTable.put(name, local, DURABLE)
    this.#local.set(name, local)
    this.#tell(name)
  }

  async remove(name: string): Promise<void> {
    if (!this.#local.has(name)) return this.#parts.records.remove(name)
    await this.#localTable.del(name, DURABLE)
    this.#local.delete(name)
    this.#tell(name)
  }

  /** Hears of each name whose dataset came, changed or went. @returns how to stop. */
  watch(changed: (name: string) => void): () => void {
    this.#listeners.add(changed)
    const unwatch = this.#parts.records.watch((name) => changed(name))
    return () => {
      this.#listeners.delete(changed)
      unwatch()
    }
  }

  #tell(name: string): void {
    for (const changed of this.#listeners) changed(name)
  }
}

const LOCAL = 'local/'

/** Where the copy of a dataset lies below the datasets' directory, without its ending. */
export function placeOf(name: string, local: boolean): string {
  return local ? LOCAL + name : name
}

/**
 * Whether a copy is of the dataset that is shown. Two foundings of one name at the same moment are one dataset, whichever
 * claim is shown; one that was founded after the other was removed is another. Pure.
 *
 * @param former ids that the shown dataset is not.
 * @param claimed ids that members claim for the name at present.
 */
export function belongs(
  kept: Pick<CopyRow, 'id' | 'removed'>,
  shown: string,
  former: readonly string[],
  claimed: readonly string[],
): boolean {
  if (kept.id === shown) return true
  return kept.removed !== true && !former.includes(kept.id) && claimed.includes(kept.id)
}

/** Who can prove it first; of others, who claimed the name first. */
function compareFoundings(a: Claimed, b: Claimed): number {
  if (a.isFounder !== b.isFounder) return a.isFounder ? -1 : 1
  return a.sinceMs - b.sinceMs || (a.author < b.author ? -1 : 1)
}
