/**
 * The registry in memory, as a pure structure. For each key it keeps the latest record of every author that claims it;
 * the policy arranges the claims, and the first is the one that is shown. Nothing depends on the order of arrival:
 * of one author the record that orders last is kept (a maximum), and claims are a set.
 */
import { createHash } from 'node:crypto'
import { authorBytesMax, claimsPerKeyMax, recordOverheadBytes } from '../base/limits.ts'
import { compare } from './order.ts'
import type { SealedRecord } from './record.ts'

/** Puts the claims to one key in order, best first. Pure; it must depend on the claims alone, not on their order. */
export type Arrange = (claims: readonly SealedRecord[]) => SealedRecord[]

export type Merge =
  | { outcome: 'newer'; replaced: SealedRecord | undefined; dropped: SealedRecord | undefined }
  | { outcome: 'duplicate' | 'stale' | 'crowded' }
  /** The author gave one version two values: `loser` is kept as proof. */
  | { outcome: 'equivocation'; keepsOurs: boolean; loser: SealedRecord }

/** Keyed by key, then by author; the first claim in each list is shown. */
export class State {
  readonly #claims = new Map<string, SealedRecord[]>()
  /** What each author keeps here. */
  readonly #bytes = new Map<string, number>()
  #sorted: SealedRecord[] | undefined

  claims(key: string): readonly SealedRecord[] {
    return this.#claims.get(key) ?? []
  }

  keys(): IterableIterator<string> {
    return this.#claims.keys()
  }

  /** What merging `record` would do. Pure. */
  judge(record: SealedRecord, arrange: Arrange): Merge {
    const claims = this.claims(record.key)
    const ours = claims.find((claim) => claim.author === record.author)
    if (ours !== undefined) {
      const order = compare(ours, record)
      if (order === 0) return { outcome: 'duplicate' }
      if (ours.version === record.version) {
        const keepsOurs = order > 0
        return { outcome: 'equivocation', keepsOurs, loser: keepsOurs ? record : ours }
      }
      if (order > 0) return { outcome: 'stale' }
      if (this.#exceeds(record, ours)) return { outcome: 'crowded' }
      return { outcome: 'newer', replaced: ours, dropped: undefined }
    }
    if (this.#exceeds(record, undefined)) return { outcome: 'crowded' }
    if (claims.length < claimsPerKeyMax) return { outcome: 'newer', replaced: undefined, dropped: undefined }
    const last = arrange([...claims, record]).at(-1)
    if (last === record) return { outcome: 'crowded' }
    return { outcome: 'newer', replaced: undefined, dropped: last }
  }

  /** Keeps `record` in place of its author's former claim, and forgets `dropped`. */
  apply(record: SealedRecord, dropped: SealedRecord | undefined, arrange: Arrange): void {
    const before = this.claims(record.key)
    const others = before.filter((c) => c.author !== record.author && c !== dropped)
    this.#claims.set(record.key, arrange([...others, record]))
    this.#weigh(record, 1)
    for (const gone of before) if (gone.author === record.author || gone === dropped) this.#weigh(gone, -1)
    this.#sorted = undefined
  }

  /** Arranges the claims of a key anew after what the policy looks at has changed. */
  rearrange(key: string, arrange: Arrange): void {
    const claims = this.#claims.get(key)
    if (claims !== undefined) this.#claims.set(key, arrange(claims))
  }

  /** Forgets one record, as when it has expired or its tombstone is old enough. */
  forget(record: SealedRecord): void {
    const before = this.claims(record.key)
    const rest = before.filter((claim) => claim !== record)
    if (rest.length < before.length) this.#weigh(record, -1)
    if (rest.length === 0) this.#claims.delete(record.key)
    else this.#claims.set(record.key, rest)
    this.#sorted = undefined
  }

  /** Whether its author would keep more than its share with `record` in place of `ours`. */
  #exceeds(record: SealedRecord, ours: SealedRecord | undefined): boolean {
    const kept = (this.#bytes.get(record.author) ?? 0) - (ours === undefined ? 0 : weightOf(ours))
    return kept + weightOf(record) > authorBytesMax
  }

  #weigh(record: SealedRecord, sign: 1 | -1): void {
    const bytes = (this.#bytes.get(record.author) ?? 0) + sign * weightOf(record)
    if (bytes === 0) this.#bytes.delete(record.author)
    else this.#bytes.set(record.author, bytes)
  }

  /** Every record, sorted by key and author. */
  records(): readonly SealedRecord[] {
    this.#sorted ??= [...this.#claims.values()].flat().sort(byPlace)
    return this.#sorted
  }

  /** One hash over all records: two nodes with the same one hold the same registry. */
  digest(): string {
    return digestOf(this.records())
  }
}

function weightOf(record: SealedRecord): number {
  return record.envelope.length + recordOverheadBytes
}

/** SHA-256 over the hashes of `records` in their order, hex. */
export function digestOf(records: readonly SealedRecord[]): string {
  const hash = createHash('sha256')
  for (const record of records) hash.update(record.hash)
  return hash.digest('hex')
}

/** The place of a record in the sorted registry; a space sorts before everything that a key may hold. */
export function placeOf(record: Pick<SealedRecord, 'key' | 'author'>): string {
  return `${record.key} ${record.author}`
}

function byPlace(a: SealedRecord, b: SealedRecord): number {
  const [left, right] = [placeOf(a), placeOf(b)]
  return left < right ? -1 : left > right ? 1 : 0
}
