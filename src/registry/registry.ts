/**
 * The registry of one federation on one node: reads come from memory, writes are durable before they resolve, and
 * every record, our own included, passes the judge. Whatever is shared in the federation is a projection of it.
 */
import type { Clock } from '../base/clock.ts'
import { isNodeError, messageOf, NodeError } from '../base/errors.ts'
import { type Startable, StopStack } from '../base/lifecycle.ts'
import { HOUR_MS, movedRetriesMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { Identity } from '../identity/node-key.ts'
import type { Batch } from './batch.ts'
import { History } from './history.ts'
import { type Bench, judgeAll, type Policy } from './judge.ts'
import { rangeBelow } from './key-range.ts'
import { KeyValueStore } from './key-value-store.ts'
import { Leases } from './leases.ts'
import { Pen, type Writing } from './pen.ts'
import { EVERYTHING } from './ranges.ts'
import type { SealedRecord } from './record.ts'
import type { RecordIndex } from './record-index.ts'
import type { RecordStore } from './record-store.ts'
import { State } from './state.ts'
import { Upkeep } from './upkeep.ts'
import { ignore, mergeRefusal, type Verdict, type VerdictCode } from './verdict.ts'
import { type Entry, type OnChange, Watchers } from './watchers.ts'
import { type Confirm, type Flush, type Work, type WriteCounts, Writer } from './writer.ts'

export interface RegistryParts {
  readonly federation: string
  readonly identity: Identity
  readonly store: RecordStore
  readonly policy: Policy
  readonly clock: Clock
  readonly log: Logger
  /** How long versions of keys are kept after they were replaced; an hour without a word. */
  readonly historyMs?: number
}

export interface PutOptions {
  /** When the record ends by itself, ms since the epoch. */
  readonly expiresMs?: number
  /** Refuses a write that would stay hidden behind another member's claim to the name. */
  readonly shown?: boolean
}

export class Registry implements Startable {
  readonly keyValues: KeyValueStore
  readonly #parts: RegistryParts
  readonly #state = new State()
  readonly #history = new History()
  readonly #bench: Bench
  readonly #watchers: Watchers
  readonly #pen: Pen
  readonly #writer: Writer
  readonly #leases: Leases
  readonly #upkeep: Upkeep
  readonly #verdicts = new Map<VerdictCode, number>()
  readonly #onLocal = new Set<(envelope: Uint8Array) => void>()
  readonly #onEvidence = new Set<(record: SealedRecord) => void>()
  readonly #running = new StopStack()
  #previous = new Map<string, Entry | undefined>()
  #settled: () => Promise<void> = async () => undefined
  #started = false

  constructor(parts: RegistryParts) {
    this.#parts = parts
    const { federation, identity, policy, clock, log, store } = parts
    const [state, history] = [this.#state, this.#history]
    this.#bench = { federation, held: state, policy }
    this.#watchers = new Watchers(log)
    this.#pen = new Pen({ federation, identity, clock, policy })
    const [before, after] = [(batch: Batch) => this.#before(batch), (batch: Batch) => this.#after(batch)]
    const writer = new Writer({ state, history, store, before, after })
    this.#writer = writer
    const pen = this.#pen
    const run = <T>(work: Work<T>) => this.#run(work)
    this.#leases = new Leases({ self: identity.peerId, run, history, pen, policy, clock, log })
    const leases = this.#leases
    this.keyValues = new KeyValueStore({ history, writer, store, run, pen, policy, leases })
    const historyMs = parts.historyMs ?? HOUR_MS
    this.#upkeep = new Upkeep({ state, history, writer, policy, clock, log, historyMs })
  }

  async start(): Promise<void> {
    if (this.#started) return
    this.#started = true
    const { store, federation, log } = this.#parts
    const loaded = await store.load(federation)
    if (loaded.unusable.length > 0)
      log.warn({ places: loaded.unusable }, 'records of no use here were removed')
    this.#history.restore(loaded.versions, loaded.revision, loaded.compacted)
    this.#leases.restore(loaded.leases)
    this.#state.restore(loaded.records)
    await this.#upkeep.settle()
    await this.#running.start('leases', this.#leases)
    await this.#running.start('upkeep', this.#upkeep)
  }

  async stop(): Promise<void> {
    await this.#running.unwind()
    await this.#writer.idle()
    this.#started = false
  }

  get federation(): string {
    return this.#parts.federation
  }

  /** This node's count of changes so far. */
  get revision(): number {
    return this.#history.revision
  }

  /** Every record, sorted by place; for catch-up. */
  get index(): RecordIndex {
    return this.#state.index
  }

  get(key: string): Entry | undefined {
    const first = this.#state.claims(key)[0]
    return first === undefined ? undefined : this.#entry(first)
  }

  /** What all keys below `prefix` show, sorted by key. */
  list(prefix: string): Entry[] {
    const shown = this.#history.range(rangeBelow(prefix))
    return shown.map(({ key }) => this.get(key)).filter((entry) => entry !== undefined)
  }

  /** Every member's claim to a key, the shown one first. */
  claims(key: string): Entry[] {
    const claims = this.#state.claims(key)
    // Behind a tombstone come only those that do not live any more [K12].
    const living = claims.findIndex(({ value }) => value === null)
    return claims.flatMap((claim, at) => {
      const entry = this.#entry(claim)
      if (entry === undefined) return []
      return living === -1 || at < living ? [entry] : [{ ...entry, buried: true as const }]
    })
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

  /** What the disk was asked to do since the start. */
  get writes(): Readonly<WriteCounts> {
    return this.#writer.counts
  }

  /** How many records of peers got which verdict since the start. */
  get verdicts(): ReadonlyMap<VerdictCode, number> {
    return this.#verdicts
  }

  get watchers(): number {
    return this.#watchers.size
  }

  /** Hears of each write to the disk. @returns how to stop hearing. */
  onFlush(heard: (flush: Flush) => void): () => void {
    return this.#writer.onFlush((flush) => this.#tell(() => heard(flush)))
  }

  /** One hash over all records: two nodes with the same one hold the same registry. */
  digest(): string {
    return this.index.digest(EVERYTHING)
  }

  /**
   * Writes `key` as this node and resolves once it is durable here; peers hear of it at once or catch up later.
   *
   * @throws NodeError INVALID_INPUT, TOO_LARGE, FORBIDDEN or NOT_A_MEMBER (who may write which key), STORE_FAILED,
   * CONFLICT with `options.shown`.
   */
  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<Entry> {
    const record = await this.#write(key, { value, lease: 0n, ...options })
    // The claims of another may outrank ours: what we wrote is then there, but another value is shown.
    const entry = this.get(key) ?? this.#entry(record)
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
    if (this.#state.claims(key).every((claim) => claim.value === null)) return
    await this.#write(key, { value: null, ...options })
  }

  /** Judges a record that a peer sent and commits it when it is accepted. Never throws. */
  async receive(envelope: Uint8Array): Promise<Verdict> {
    const [verdict] = await this.receiveAll([envelope])
    return verdict as Verdict
  }

  /** The same for many: signatures are checked side by side, and what is accepted is committed in one write. */
  async receiveAll(envelopes: readonly Uint8Array[]): Promise<readonly Verdict[]> {
    const verdicts = await this.#receiveAll(envelopes)
    for (const verdict of verdicts) {
      const code = verdict.action === 'accept' ? 'ACCEPTED' : verdict.code
      this.#verdicts.set(code, (this.#verdicts.get(code) ?? 0) + 1)
    }
    return verdicts
  }

  async #receiveAll(envelopes: readonly Uint8Array[]): Promise<readonly Verdict[]> {
    const verdicts = await judgeAll(envelopes.map(detached), this.#bench, this.#parts.clock.now())
    if (!verdicts.some((verdict) => verdict.action === 'accept')) return verdicts
    try {
      return await this.#writer.run((batch) => this.#takeAll(verdicts, batch))
    } catch (error) {
      this.#parts.log.error({ error: messageOf(error) }, 'records were not stored')
      const unstored = ignore('STORE_FAILED', messageOf(error))
      return verdicts.map((verdict) => (verdict.action === 'accept' ? unstored : verdict))
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

  /**
   * Hears of each record that lost its place to another one of the same author and version, once it is kept as proof;
   * the other one stands among the claims.
   */
  onEvidence(heard: (record: SealedRecord) => void): () => void {
    this.#onEvidence.add(heard)
    return () => this.#onEvidence.delete(heard)
  }

  /** Arranges contested names anew, as after a change among the members; between two commits, never within one. */
  rearrange(): void {
    this.#upkeep.rearrange()
  }

  /**
   * Drops the records of which `goes` says so, as if they had never come; they are taken again when they may be.
   *
   * @throws NodeError STORE_FAILED
   */
  discard(goes: (record: SealedRecord) => boolean): Promise<void> {
    return this.#upkeep.discard(goes)
  }

  /**
   * Has this node's own records confirmed elsewhere before they are stored. When `confirm` throws REGISTRY_MOVED, the
   * write is judged and sealed again once `settled` has brought what it lacked.
   */
  confirmWith(confirm: Confirm, settled: () => Promise<void>): void {
    this.#writer.confirmWith(confirm)
    this.#settled = settled
  }

  #write(key: string, writing: Writing): Promise<SealedRecord> {
    return this.#run((batch) =>
      batch.attempt((draft) => this.#pen.write(draft, key, { ...writing, always: true })),
    )
  }

  async #run<T>(work: Work<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#writer.run(work)
      } catch (error) {
        if (!isNodeError(error, 'REGISTRY_MOVED') || attempt >= movedRetriesMax) throw error
        await this.#settled()
      }
    }
  }

  /** Merges one after another, each a change of its own: what was good when it was judged may be stale by now. */
  async #takeAll(verdicts: readonly Verdict[], batch: Batch): Promise<Verdict[]> {
    const { policy, log } = this.#parts
    const taken: Verdict[] = []
    for (const verdict of verdicts) {
      if (verdict.action !== 'accept') {
        taken.push(verdict)
        continue
      }
      const { key, author } = verdict.record
      const merged = await batch.attempt((draft) => draft.take(verdict.record, policy.arrange))
      if (merged.outcome === 'equivocation')
        log.warn({ key, author }, 'an author gave one version two values; both are kept')
      taken.push(mergeRefusal(merged) ?? verdict)
    }
    return taken
  }

  #before(batch: Batch): void {
    this.#previous = new Map()
    const { peerId } = this.#parts.identity
    for (const [key, claims] of batch.sum.changedClaims) {
      const own = this.#state.claims(key).find((claim) => claim.author === peerId)
      if (own !== undefined && !claims.some((claim) => claim.author === peerId)) this.#pen.forgotten(own)
    }
    for (const { events } of batch.groups)
      for (const { kv } of events) this.#previous.set(kv.key, this.get(kv.key))
  }

  #after(batch: Batch): void {
    this.#leases.apply(batch)
    this.#tell(() => {
      for (const record of batch.sum.own) for (const publish of this.#onLocal) publish(record.envelope)
    })
    this.#tell(() => {
      for (const loser of batch.sum.evidence) for (const heard of this.#onEvidence) heard(loser)
    })
    this.#tell(() => this.keyValues.tell(batch))
    for (const [key, previous] of this.#previous) {
      const entry = this.get(key)
      if (entry === undefined && previous === undefined) continue
      const revision = entry?.revision ?? batch.revision
      this.#watchers.notify({ key, entry, previous, revision })
    }
    this.#previous.clear()
  }

  /** What is written is written: whoever hears of it badly keeps it from nobody else. */
  #tell(tell: () => void): void {
    try {
      tell()
    } catch (error) {
      this.#parts.log.error({ error: messageOf(error) }, 'a change was written, but not told to everybody')
    }
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
      revision: this.#history.get(record.key)?.modified ?? this.#history.revision,
      contested,
    }
  }
}

/** Bytes of its own, unless it has them: a record that is kept must not keep the whole frame it came in. */
function detached(envelope: Uint8Array): Uint8Array {
  return envelope.byteLength === envelope.buffer.byteLength ? envelope : Uint8Array.from(envelope)
}
