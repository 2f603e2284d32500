/**
 * What a commit is going to change, before anything is changed: an overlay over the registry as it stands, in which
 * records are merged and keys are put and deleted. When it turns out that a change cannot be, the draft is dropped and
 * nothing has happened; when the disk has it, the draft is applied. Pure.
 */
import { isWithin, type KeyRange } from './key-range.ts'
import { KeyValue } from './key-value.ts'
import { type Arrange, type Claims, claimsWith, type Merge, merge, shownOf, weightOf } from './merge.ts'
import type { SealedRecord } from './record.ts'
import type { KeyEvent } from './transaction.ts'

/** What a draft lies upon: the registry, or a draft that will be there before it. */
export interface Standing extends Claims {
  /** What a key shows. */
  get(key: string): KeyValue | undefined
  range(range: KeyRange): readonly KeyValue[]
}

export interface Shown {
  /** The lease that the key hangs on at this node; without a word, what prolongs a claim keeps it. */
  readonly lease?: bigint
  /** A change even when the value stays what it was. */
  readonly always?: boolean
}

export class Draft implements Standing {
  /** The revision that its changes get. */
  readonly revision: number
  readonly #under: Standing
  readonly #claims = new Map<string, readonly SealedRecord[]>()
  readonly #bytes = new Map<string, number>()
  readonly #keys = new Map<string, KeyValue>()
  readonly #events: KeyEvent[] = []
  readonly #evidence: SealedRecord[] = []
  readonly #own: SealedRecord[] = []

  constructor(under: Standing, revision: number) {
    this.#under = under
    this.revision = revision
  }

  claims(key: string): readonly SealedRecord[] {
    return this.#claims.get(key) ?? this.#under.claims(key)
  }

  bytesOf(author: string): number {
    return this.#under.bytesOf(author) + (this.#bytes.get(author) ?? 0)
  }

  get(key: string): KeyValue | undefined {
    const ours = this.#keys.get(key)
    if (ours === undefined) return this.#under.get(key)
    return ours.isTombstone ? undefined : ours
  }

  range(range: KeyRange): readonly KeyValue[] {
    const under = this.#under.range(range)
    const ours = [...this.#keys.values()].filter((kv) => isWithin(kv.key, range))
    if (ours.length === 0) return under
    const kept = under.filter((kv) => !this.#keys.has(kv.key))
    return [...kept, ...ours.filter((kv) => !kv.isTombstone)].sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  /** Keys whose claims it changes, with what they become. */
  get changedClaims(): ReadonlyMap<string, readonly SealedRecord[]> {
    return this.#claims
  }

  /** What its changes show, in order; all of one revision. */
  get events(): readonly KeyEvent[] {
    return this.#events
  }

  /** Proofs that an author gave one version two values. */
  get evidence(): readonly SealedRecord[] {
    return this.#evidence
  }

  /** Records that this node wrote itself. */
  get own(): readonly SealedRecord[] {
    return this.#own
  }

  get isEmpty(): boolean {
    return this.#claims.size === 0 && this.#events.length === 0 && this.#evidence.length === 0
  }

  /** Merges a record that was judged. */
  take(record: SealedRecord, arrange: Arrange, shown: Shown = {}): Merge {
    const merged = merge(this, record, arrange)
    if (merged.outcome === 'equivocation') this.#evidence.push(merged.loser)
    const keeps = merged.outcome === 'newer' || (merged.outcome === 'equivocation' && !merged.keepsOurs)
    if (!keeps) return merged
    const dropped = merged.outcome === 'newer' ? merged.dropped : undefined
    this.replace(record.key, claimsWith(this, record, dropped, arrange), shown)
    return merged
  }

  /** Notes that a record is this node's own, so that it is confirmed and published. */
  write(record: SealedRecord): void {
    this.#own.push(record)
  }

  /** Puts arranged claims in place of those of a key, and shows what they show. */
  replace(key: string, claims: readonly SealedRecord[], shown: Shown = {}): void {
    const before = this.claims(key)
    if (claims === before) return
    for (const gone of before) if (!claims.includes(gone)) this.#weigh(gone, -1)
    for (const come of claims) if (!before.includes(come)) this.#weigh(come, 1)
    this.#claims.set(key, claims)
    const [was, is] = [shownOf(before), shownOf(claims)]
    const present = this.get(key)
    if (is?.value === undefined || is.value === null) {
      if (present !== undefined) this.remove(key)
      return
    }
    const lease = shown.lease ?? (was?.author === is.author ? (present?.lease ?? 0n) : 0n)
    const silent = present !== undefined && shown.always !== true && present.lease === lease
    if (silent && (was === is || prolongs(was, is))) return
    this.put(key, is.value, lease)
  }

  /** Makes a key show what its claims show, as after the store was read. */
  settle(key: string, claims: readonly SealedRecord[]): void {
    if (claims !== this.claims(key)) this.#claims.set(key, claims)
    const [is, present] = [shownOf(claims), this.get(key)]
    if (is?.value === undefined || is.value === null) {
      if (present !== undefined) this.remove(key)
    } else if (present === undefined || Buffer.compare(present.value, is.value) !== 0) {
      this.put(key, is.value, 0n)
    }
  }

  put(key: string, value: Uint8Array, lease: bigint): KeyValue {
    const previous = this.get(key)
    const created = previous?.created ?? this.revision
    const version = (previous?.version ?? 0) + 1
    const kv = KeyValue.of(
      { key, created, modified: this.revision, version, lease },
      value,
      this.#events.length,
    )
    this.#change({ type: 'put', kv, previous })
    return kv
  }

  remove(key: string): void {
    const kv = KeyValue.tombstone(key, this.revision, this.#events.length)
    this.#change({ type: 'delete', kv, previous: this.get(key) })
  }

  /** Takes over all of a draft that lies upon this one. */
  absorb(draft: Draft): void {
    for (const [key, claims] of draft.#claims) this.#claims.set(key, claims)
    for (const [author, bytes] of draft.#bytes)
      this.#bytes.set(author, (this.#bytes.get(author) ?? 0) + bytes)
    for (const [key, kv] of draft.#keys) this.#keys.set(key, kv)
    this.#evidence.push(...draft.#evidence)
    this.#own.push(...draft.#own)
  }

  #change(event: KeyEvent): void {
    this.#keys.set(event.kv.key, event.kv)
    this.#events.push(event)
  }

  #weigh(record: SealedRecord, sign: 1 | -1): void {
    this.#bytes.set(record.author, (this.#bytes.get(record.author) ?? 0) + sign * weightOf(record))
  }
}

/** True when a record says nothing new but that its value lives on. */
function prolongs(was: SealedRecord | undefined, is: SealedRecord): boolean {
  if (was === undefined || was.author !== is.author || was.value === null || is.value === null) return false
  if (was.expires === undefined || is.expires === undefined || is.expires <= was.expires) return false
  return Buffer.compare(was.value, is.value) === 0
}
