/**
 * The registry of one federation on one node: reads come from memory, writes are durable before they resolve, and
 * every record, our own included, passes the judge. Whatever is shared in the federation is a projection of it.
 */
import type { Clock } from '../base/clock.ts'
import { type ErrorCode, messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import { sweepIntervalMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import type { Identity } from '../identity/node-key.ts'
import { CommitQueue } from './commit-queue.ts'
import { type Bench, examine, judge, type Policy } from './judge.ts'
import { Pen } from './pen.ts'
import type { SealedRecord } from './record.ts'
import type { RecordStore, StoredRecord } from './record-store.ts'
import { State } from './state.ts'
import { outlived } from './sweep.ts'
import { ignore, type Refusal, type Verdict } from './verdict.ts'
import { type Entry, type OnChange, Watchers } from './watchers.ts'

export interface RegistryParts {
  readonly federation: string
  readonly identity: Identity
  readonly store: RecordStore
  readonly policy: Policy
  readonly clock: Clock
  readonly log: Logger
}

export interface PutOptions {
  /** When the record ends by itself, ms since the epoch. */
  readonly expiresMs?: number
  /** Refuses a write that would stay hidden behind another member's claim to the name. */
  readonly shown?: boolean
}

export class Registry implements Startable {
  readonly #parts: RegistryParts
  readonly #state = new State()
  readonly #bench: Bench
  readonly #watchers: Watchers
  readonly #pen: Pen
  /** Commits, sweeps and rearrangements never overlap; at most one of each waits. */
  readonly #writes = new SerialQueue(4)
  readonly #commits = new CommitQueue((records: readonly SealedRecord[]) =>
    this.#writes.run(() => this.#commit(records)),
  )
  readonly #revisions = new Map<SealedRecord, number>()
  readonly #onLocal = new Set<(envelope: Uint8Array) => void>()
  #revision = 0
  #rearranging = false
  #sweeper: NodeJS.Timeout | undefined

  constructor(parts: RegistryParts) {
    this.#parts = parts
    this.#bench = { federation: parts.federation, state: this.#state, policy: parts.policy }
    this.#watchers = new Watchers(parts.log)
    const { federation, identity, clock, policy } = parts
    this.#pen = new Pen({ federation, identity, clock, state: this.#state, arrange: policy.arrange })
  }

  async start(): Promise<void> {
    if (this.#sweeper !== undefined) return
    const { store, federation, log } = this.#parts
    const loaded = await store.load(federation)
    if (loaded.unusable.length > 0)
      log.warn({ places: loaded.unusable }, 'records of no use here were removed')
    for (const { record, revision } of loaded.records) {
      // Arranged below, once all is known that the arrangement looks at.
      this.#state.apply(record, undefined, (claims) => [...claims])
      this.#revisions.set(record, revision)
    }
    this.#revision = loaded.revision
    await this.#rearrangeNow()
    this.#sweeper = setInterval(() => this.#sweepSoon(), sweepIntervalMs)
    this.#sweeper.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
    await this.#commits.idle()
    await this.#writes.idle()
  }

  get federation(): string {
    return this.#parts.federation
  }

  /** This node's count of changes so far. */
  get revision(): number {
    return this.#revision
  }

  get(key: string): Entry | undefined {
    return this.#shown(key)
  }

  /** What all keys below `prefix` show, sorted by key. */
  list(prefix: string): Entry[] {
    const keys = [...this.#state.keys()].filter((key) => key.startsWith(prefix)).sort()
    return keys.map((key) => this.#shown(key)).filter((entry) => entry !== undefined)
  }

  /** Every member's claim to a key, the shown one first. */
  claims(key: string): Entry[] {
    return this.#state
      .claims(key)
      .map((claim) => this.#entry(claim))
      .filter((entry) => entry !== undefined)
  }

  /** True when the registry holds any record of a key, a tombstone included. */
  knows(key: string): boolean {
    return this.#state.claims(key).length > 0
  }

  /** The sealed original of what a key shows, or of one author's claim to it. */
  envelope(key: string, author?: string): Uint8Array | undefined {
    const claims = this.#state.claims(key)
    return (author === undefined ? claims[0] : claims.find((claim) => claim.author === author))?.envelope
  }

  /** All records with their places, for catch-up. */
  records(): readonly SealedRecord[] {
    return this.#state.records()
  }

  digest(): string {
    return this.#state.digest()
  }

  /**
   * Writes `key` as this node and resolves once it is durable here; peers hear of it at once or catch up later.
   *
   * @throws NodeError INVALID_INPUT, TOO_LARGE, FORBIDDEN or NOT_A_MEMBER (who may write which key), STORE_FAILED,
   * CONFLICT with `options.shown`.
   */
  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<Entry> {
    if (options.shown === true) this.#pen.refuseHidden(key, value)
    const record = await this.#write(key, value, options.expiresMs)
    // The claims of another may outrank ours: what we wrote is then there, but another value is shown.
    const entry = this.#shown(key) ?? this.#entry(record)
    if (entry === undefined)
      throw new NodeError('INVALID_INPUT', `${key} was written already expired`, { key })
    return entry
  }

  /**
   * Deletes this node's claim to `key` (an operator's deletion covers every claim it has seen). Idempotent.
   *
   * @throws NodeError CONFLICT with `options.shown`, when another member's claim would be left.
   */
  async delete(key: string, options: Pick<PutOptions, 'shown'> = {}): Promise<void> {
    if (options.shown === true) this.#pen.refuseHidden(key, null)
    if (this.#state.claims(key).every((claim) => claim.value === null)) return
    await this.#write(key, null, undefined)
  }

  /** Judges a record that a peer sent and commits it when it is accepted. Never throws. */
  async receive(envelope: Uint8Array): Promise<Verdict> {
    const verdict = await judge(envelope, this.#bench, this.#parts.clock.now())
    if (verdict.action !== 'accept') return verdict
    try {
      return (await this.#commits.add(verdict.record)) ?? verdict
    } catch (error) {
      this.#parts.log.error({ key: verdict.record.key, error: messageOf(error) }, 'a record was not stored')
      return ignore('STORE_FAILED', messageOf(error))
    }
  }

  /** Hears of every change below `prefix` after it is durable. @returns how to stop watching. */
  watch(prefix: string, onChange: OnChange): () => void {
    return this.#watchers.add(prefix, onChange)
  }

  /** Hears of the envelopes that this node writes itself, so that replication can publish them. */
  onLocal(publish: (envelope: Uint8Array) => void): () => void {
    this.#onLocal.add(publish)
    return () => this.#onLocal.delete(publish)
  }

  /** Arranges contested names anew, as after a change among the members; between two commits, never within one. */
  rearrange(): void {
    if (this.#rearranging) return
    this.#rearranging = true
    this.#writes
      .run(() => {
        this.#rearranging = false
        return this.#rearrangeNow()
      })
      .catch((error: unknown) => {
        this.#parts.log.error({ error: messageOf(error) }, 'contested names were not arranged anew')
      })
  }

  async #rearrangeNow(): Promise<void> {
    const before = this.#revision
    for (const key of this.#state.keys()) {
      if (this.#state.claims(key).length < 2) continue
      const previous = this.#shown(key)
      this.#state.rearrange(key, this.#parts.policy.arrange)
      const now = this.#shown(key)
      if (now?.author === previous?.author && now?.version === previous?.version) continue
      // Another value is shown, and so it is a change like any other, with a revision of its own.
      this.#revision += 1
      this.#watchers.notify({ key, entry: now, previous, revision: this.#revision })
    }
    if (this.#revision === before) return
    await this.#parts.store.commit({ saved: [], removed: [], revision: this.#revision })
  }

  #write(key: string, value: Uint8Array | null, expires: number | undefined): Promise<SealedRecord> {
    return this.#pen.write(key, { value, expires }, async (record) => {
      const refusal =
        (await examine(record, this.#bench, this.#parts.clock.now())) ?? (await this.#commits.add(record))
      if (refusal !== undefined) throw refused(key, refusal)
      for (const publish of this.#onLocal) publish(record.envelope)
    })
  }

  /** Merges, stores, then shows. A second record for one key waits for the next flush, to be judged by the first. */
  async #commit(records: readonly SealedRecord[]): Promise<(Refusal | undefined)[]> {
    const results: (Refusal | undefined)[] = []
    let from = 0
    while (from < records.length) {
      const keys = new Set<string>()
      let to = from
      for (; to < records.length; to += 1) {
        const key = records[to]?.key as string
        if (keys.has(key)) break
        keys.add(key)
      }
      results.push(...(await this.#commitDistinct(records.slice(from, to))))
      from = to
    }
    return results
  }

  async #commitDistinct(records: readonly SealedRecord[]): Promise<(Refusal | undefined)[]> {
    const { store, policy, log } = this.#parts
    const saved: (StoredRecord & { dropped: SealedRecord | undefined })[] = []
    const removed: SealedRecord[] = []
    const results: (Refusal | undefined)[] = []
    for (const record of records) {
      const merge = this.#state.judge(record, policy.arrange)
      if (merge.outcome === 'equivocation') {
        log.warn(
          { key: record.key, author: record.author },
          'an author gave one version two values; both are kept',
        )
        await store.keepEvidence(merge.loser)
      }
      const keeps = merge.outcome === 'newer' || (merge.outcome === 'equivocation' && !merge.keepsOurs)
      results.push(keeps ? undefined : ignore(codeOf(merge.outcome), `The record is ${merge.outcome}`))
      if (!keeps) continue
      const dropped = merge.outcome === 'newer' ? merge.dropped : undefined
      if (dropped !== undefined) removed.push(dropped)
      saved.push({ record, revision: this.#revision + saved.length + 1, dropped })
    }
    if (saved.length === 0) return results
    await store.commit({ saved, removed, revision: this.#revision + saved.length })
    for (const { record, revision, dropped } of saved) this.#show(record, revision, dropped)
    return results
  }

  #show(record: SealedRecord, revision: number, dropped: SealedRecord | undefined): void {
    const previous = this.#shown(record.key)
    for (const gone of this.#state.claims(record.key)) {
      if (gone.author === record.author || gone === dropped) this.#revisions.delete(gone)
    }
    this.#state.apply(record, dropped, this.#parts.policy.arrange)
    this.#revisions.set(record, revision)
    this.#revision = revision
    this.#announce(record.key, previous)
  }

  #announce(key: string, previous: Entry | undefined): void {
    const entry = this.#shown(key)
    if (entry === previous || (entry?.revision === previous?.revision && entry?.author === previous?.author))
      return
    this.#watchers.notify({ key, entry, previous, revision: this.#revision })
  }

  #sweepSoon(): void {
    if (this.#writes.size > 0) return
    this.#writes
      .run(() => this.#sweep())
      .catch((error: unknown) => {
        this.#parts.log.warn(
          { error: messageOf(error) },
          'expired records stay until the store can be written',
        )
      })
  }

  /** Forgets what has expired, what old tombstones bury, and at last the tombstones themselves. */
  async #sweep(): Promise<void> {
    const { clock, store, policy } = this.#parts
    const gone = outlived(this.#state, clock.now())
    if (gone.length === 0) return
    // A change at most for each of them: revisions may skip, never repeat.
    await store.commit({ saved: [], removed: gone, revision: this.#revision + gone.length })
    for (const record of gone) {
      const previous = this.#shown(record.key)
      this.#state.forget(record)
      this.#revisions.delete(record)
      this.#state.rearrange(record.key, policy.arrange)
      const entry = this.#shown(record.key)
      if (entry?.author === previous?.author && entry?.version === previous?.version) continue
      this.#revision += 1
      this.#watchers.notify({ key: record.key, entry, previous, revision: this.#revision })
    }
  }

  #shown(key: string): Entry | undefined {
    const first = this.#state.claims(key)[0]
    return first === undefined ? undefined : this.#entry(first)
  }

  #entry(record: SealedRecord): Entry | undefined {
    if (record.value === null) return undefined
    const contested = this.#state.claims(record.key).filter((claim) => claim.value !== null).length > 1
    return {
      key: record.key,
      value: record.value,
      author: record.author,
      version: record.version,
      timeMs: record.time,
      sinceMs: record.since,
      ...(record.expires === undefined ? {} : { expiresMs: record.expires }),
      revision: this.#revisions.get(record) ?? this.#revision,
      contested,
    }
  }
}

function codeOf(outcome: 'duplicate' | 'stale' | 'crowded' | 'equivocation' | 'newer') {
  const codes = {
    duplicate: 'DUPLICATE',
    stale: 'STALE',
    crowded: 'CROWDED',
    equivocation: 'EQUIVOCATION',
  } as const
  return outcome === 'newer' ? codes.stale : codes[outcome]
}

const WRITE_ERRORS: Partial<Record<Refusal['code'], ErrorCode>> = {
  NOT_ALLOWED: 'FORBIDDEN',
  UNKNOWN_AUTHOR: 'NOT_A_MEMBER',
  NOT_PROVEN: 'CERTIFICATE_INVALID',
  STORE_FAILED: 'STORE_FAILED',
  CROWDED: 'CONFLICT',
  STALE: 'CONFLICT',
  DUPLICATE: 'CONFLICT',
}

function refused(key: string, refusal: Refusal): NodeError {
  const code = WRITE_ERRORS[refusal.code] ?? 'INVALID_INPUT'
  return new NodeError(code, `${key} was not written: ${refusal.reason}`, { key, verdict: refusal.code })
}
