import type { Clock } from '../base/clock.ts'
import { type Database, DURABLE, type Table, table } from '../base/database.ts'
import { NodeError } from '../base/errors.ts'
import { claimSettlingMs } from '../base/limits.ts'
import { type Collection, decodeJson } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import type { Entry } from '../registry/watchers.ts'
import {
  DATASET_PREFIX,
  type DatasetRecord,
  datasetSchema,
  idOf,
  type LocalRecord,
  localDatasetSchema,
  type SharedRecord,
} from './dataset-record.ts'
import {
  belongs,
  type Claimed,
  type ContestedClaim,
  claimOf,
  contestedClaims,
  type Decision,
  decideClaim,
  isDisputed,
  isShutOut,
  type Proof,
  proofOf,
} from './name-claims.ts'
import { type Commitment, commitmentOf, type Policy } from './policies.ts'

/** A dataset as this node knows it now. */
export interface Known {
  readonly name: string
  readonly id: string
  readonly record: DatasetRecord
  /** Peer id of the member whose record it is: who founded it, or an operator. */
  readonly author: string
  /** What counts here: the record's, or stricter because of what was promised before. */
  readonly policy: Policy
  /** Peer id of the member whose promise the policy is, and who may take it back. */
  readonly promisedBy: string
  /** Peer id of the member that founded it, where its objects are unless they are shared. */
  readonly owner: string
  /** When it was founded, ms since the epoch; 0 where nobody said so. */
  readonly foundedMs: number
  /** Other datasets that claim the name, as long as this node cannot tell of which of them its copy is. */
  readonly rivals?: readonly { readonly id: string; readonly owner: string; readonly record: SharedRecord }[]
}

/** What this node remembers of its copy of a dataset, whatever becomes of the record. */
export interface CopyRow extends Commitment {
  readonly id: string
  /** Since when this node knows the dataset under this name, ms since the epoch; see `setCopy`. */
  readonly knownMs?: number
  /** Members have agreed on a ground truth of it. */
  readonly agreed?: true
  /** Its record is not written yet; after a crash, nobody has ever seen it. */
  readonly founding?: true
  /** The dataset was removed: what is founded under this name later is another one. */
  readonly removed?: true
}

export interface KnownDatasetsParts {
  readonly self: string
  readonly database: Database
  readonly registry: Pick<Registry, 'list' | 'claims' | 'knows'>
  readonly records: Collection<SharedRecord>
  /** Whether a peer is an operator at present. */
  readonly isOperator: (peer: string) => boolean
  /** Which key stands for a peer now, where its node has changed it. */
  readonly presentOf?: (peer: string) => string
  readonly clock: Clock
}

/** A record and what its id proves. */
interface Read {
  readonly record: SharedRecord
  readonly proof: Proof
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
  readonly #records = new WeakMap<Uint8Array, Read | undefined>()
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
    const { self } = this.#parts
    const local = this.#local.get(name)
    if (local !== undefined) {
      const own = { policy: 'local-only', promisedBy: self, owner: self, author: self } as const
      return { name, id: idOf(name, local), record: local, foundedMs: 0, ...own }
    }
    const decision = this.#decide(name)
    if (decision === undefined) return undefined
    const { shown, founding, counting } = decision
    const { id, record, author } = shown
    const founder = founding.founder ?? founding.author
    const row = this.#copyOf(name)
    const { policy, owner: promisedBy } = commitmentOf({
      kept: row && belongs(row, decision) && !isShutOut(row, decision, self) ? row : undefined,
      founder: { policy: founding.policy, author: founder },
      ...{ shown, claims: counting, self },
      own: counting.find((claim) => claim.isFounder && claim.author === self),
    })
    const owner = promisedBy === self && policy !== 'shared' ? self : founder
    // Nobody is believed that it was founded after its record was written.
    const foundedMs = Math.min(founding.record.foundedMs ?? 0, founding.timeMs)
    const rivals = this.#rivals(name, decision)
    return { ...{ name, id, record, author, foundedMs, policy, promisedBy, owner }, ...rivals }
  }

  #rivals(name: string, decision: Decision): Pick<Known, 'rivals'> {
    const row = this.#copies.get(name)
    const { shown, counting } = decision
    const isSettled = row?.id === shown.id && this.#isSettled(row, counting)
    if (isSettled || !isDisputed(decision)) return {}
    const others = counting.filter(({ id }) => id !== shown.id)
    return {
      rivals: others.map(({ id, founder, author, record }) => ({ id, owner: founder ?? author, record })),
    }
  }

  /** A promise of this node is its own still when it has changed its key. */
  #copyOf(name: string): CopyRow | undefined {
    const row = this.#copies.get(name)
    const { presentOf } = this.#parts
    return row === undefined || presentOf === undefined ? row : { ...row, owner: presentOf(row.owner) }
  }

  /** Sorted by name. */
  list(): Known[] {
    const shared = this.#parts.registry
      .list(DATASET_PREFIX)
      .map(({ key }) => key.slice(DATASET_PREFIX.length))
    const names = new Set([...shared, ...this.#local.keys()])
    return [...names]
      .sort()
      .map((name) => this.get(name))
      .filter((known) => known !== undefined)
  }

  /** @throws NodeError DATASET_NOT_FOUND */
  need(name: string): Known {
    const known = this.get(name)
    if (known !== undefined) return known
    const [claim] = this.contested(name)
    const hint =
      claim === undefined ? '' : `: what ${claim.author} claims under this name is not proven to be one`
    throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${name}${hint}`, { name })
  }

  isLocal(name: string): boolean {
    return this.#founding.get(name) ?? this.#local.has(name)
  }

  /** What members claim of a shared name, in the registry's order; what is buried, or proves nothing, included. */
  claims(name: string): Claimed[] {
    const { registry, isOperator, presentOf } = this.#parts
    return registry.claims(DATASET_PREFIX + name).flatMap((entry) => {
      const read = this.#read(name, entry)
      if (read === undefined) return []
      const isOperators = isOperator(presentOf?.(entry.author) ?? entry.author)
      return [claimOf(entry, read.record, read.proof, isOperators, presentOf)]
    })
  }

  /** Claims to a shared name that say something else than what decides. */
  contested(name: string): ContestedClaim[] {
    return this.#local.has(name) ? [] : contestedClaims(this.claims(name), this.#decide(name))
  }

  /** Whether a copy that was kept under a name is of the dataset that has the name now. */
  belongs(name: string, kept: Pick<CopyRow, 'id' | 'removed'>): boolean {
    const local = this.#local.get(name)
    if (local !== undefined) return kept.id === idOf(name, local)
    const decision = this.#decide(name)
    if (decision === undefined || !belongs(kept, decision)) return false
    const { self } = this.#parts
    const row = this.#copies.get(name)
    // What this node founded itself is not lost to it because another claimed its name for a while.
    return row === undefined || decision.shown.founder === self || !isShutOut(row, decision, self)
  }

  #decide(name: string): Decision | undefined {
    const row = this.#copies.get(name)
    const claims = this.claims(name)
    if (row === undefined || row.removed) return decideClaim(claims, undefined)
    return decideClaim(claims, { id: row.id, isSettled: this.#isSettled(row, claims) })
  }

  /** Whether two foundings at the same moment can no longer be what makes another claim come first. */
  #isSettled({ id, policy, agreed, knownMs = 0 }: CopyRow, claims: readonly Claimed[]): boolean {
    const { self, clock } = this.#parts
    if (agreed || clock.now() - knownMs >= claimSettlingMs) return true
    // What a node does not give away does not become another's because that one claims its name.
    return policy !== 'shared' && claims.some((claim) => claim.author === self && claim.id === id)
  }

  /** Datasets are asked for many times between two changes of their records. */
  #read(name: string, { value, author }: Entry): Read | undefined {
    if (!this.#records.has(value)) {
      const record = datasetSchema.safeParse(decodeJson(value)).data
      this.#records.set(value, record && { record, proof: proofOf(name, author, record) })
    }
    return this.#records.get(value)
  }

  /** What was founded with, of all whose claims to the name count; of the one that decides first. */
  initials(name: string): (string | undefined)[] {
    const local = this.#local.get(name)
    if (local !== undefined) return [local.initial]
    const decision = this.#decide(name)
    if (decision === undefined) return []
    const { shown, counting } = decision
    return [shown, ...counting.filter((claim) => claim !== shown)].map(({ record }) => record.initial)
  }

  /** Whether members have agreed on a ground truth of the dataset that has the name now. */
  isAgreed(name: string): boolean {
    return this.#copies.get(name)?.agreed === true && this.#copies.get(name)?.id === this.get(name)?.id
  }

  /** Notes that members have agreed on a ground truth: from here on nobody else's claim moves what the dataset is. */
  async agreed(name: string): Promise<void> {
    const row = this.#copies.get(name)
    if (row === undefined || row.agreed || row.id !== this.get(name)?.id) return
    await this.setCopy(name, { ...row, agreed: true })
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
    if (!registry.knows(key) || this.#decide(place) !== undefined) return false
    // What this node cannot read may be of a later version.
    return registry
      .claims(key)
      .every((entry) => entry.buried === true || this.#read(place, entry) !== undefined)
  }

  #isFoundedAt(place: string): boolean {
    return this.#founding.get(place.slice(LOCAL.length)) === true
  }

  /** Remembers a copy; for how long the dataset is known, and what was agreed on, stays while its id does. */
  async setCopy(place: string, row: CopyRow): Promise<void> {
    const kept = this.#copies.get(place)
    const before = kept?.id === row.id ? { knownMs: 0, ...kept } : { knownMs: this.#parts.clock.now() }
    const agreed = row.agreed ?? ('agreed' in before && before.agreed)
    const whole = { ...row, knownMs: before.knownMs, ...(agreed ? { agreed: true as const } : {}) }
    this.#copies.set(place, whole)
    await this.#copyTable.put(place, whole, DURABLE)
  }

  /** What this node promises anew of a dataset of its own, and all who look at it hear. */
  async promise(name: string, row: CopyRow): Promise<void> {
    await this.setCopy(placeOf(name, false), row)
    this.#tell(name)
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
    return this.claims(name).some((claim) => claim.author === this.#parts.self && claim.id === id)
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
      const shown = !this.#isOurs(name)
      await this.#parts.records.put(name, { ...rest, policy }, { shown })
      // Others hear of it as soon as they look; the registry tells of what it shows alone.
      if (!shown) this.#tell(name)
      return
    }
    const local = { ...rest, policy }
    await this.#localTable.put(name, local, DURABLE)
    this.#local.set(name, local)
    this.#tell(name)
  }

  async remove(name: string): Promise<void> {
    if (!this.#local.has(name)) {
      const shown = !this.#isOurs(name)
      await this.#parts.records.remove(name, { shown })
      if (!shown) this.#tell(name)
      return
    }
    await this.#localTable.del(name, DURABLE)
    this.#local.delete(name)
    this.#tell(name)
  }

  /** Whether our claim to a name is what decides, or would be for want of another, whatever the registry shows. */
  #isOurs(name: string): boolean {
    const decision = this.#decide(name)
    return decision === undefined || decision.shown.author === this.#parts.self
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

  /** What is not in its record has changed for a dataset, such as who may have it: all who look at it look again. */
  lookAgain(name: string): void {
    this.#tell(name)
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
