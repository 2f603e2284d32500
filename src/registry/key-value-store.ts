/**
 * The registry as a key-value store with revisions, which is what etcd's clients see of it: what the shared keys show
 * and this node's local keys, in one history. Reads come from memory and never wait.
 */
import { NodeError } from '../base/errors.ts'
import type { Batch } from './batch.ts'
import type { Draft } from './draft.ts'
import type { History } from './history.ts'
import type { Policy } from './judge.ts'
import { EVERY_KEY, type KeyRange, keyBytes } from './key-range.ts'
import type { KeyValue } from './key-value.ts'
import type { Leases } from './leases.ts'
import { LocalSpace } from './local-space.ts'
import type { Pen } from './pen.ts'
import type { RecordStore } from './record-store.ts'
import type { KeyEvent, KeyKind, Plan, Transaction } from './transaction.ts'
import type { Writer } from './writer.ts'

export interface KeyValueStoreParts {
  readonly history: History
  readonly writer: Pick<Writer, 'compact' | 'counts'>
  readonly store: Pick<RecordStore, 'defragment'>
  /** Runs work again when a cluster has moved on in between. */
  readonly run: Writer['run']
  readonly pen: Pick<Pen, 'write'>
  readonly policy: Pick<Policy, 'kindOf' | 'isRoomsOwn'>
  readonly leases: Leases
  /** What the local keys may take; `localBytesMax` without a word. */
  readonly localBytesMax?: number
}

export type OnEvents = (events: readonly KeyEvent[], revision: number) => void

export class KeyValueStore {
  readonly leases: Leases
  readonly #parts: KeyValueStoreParts
  readonly #heard = new Set<OnEvents>()
  readonly #space: LocalSpace

  constructor(parts: KeyValueStoreParts) {
    this.#parts = parts
    this.leases = parts.leases
    this.#space = new LocalSpace((key) => this.kindOf(key) === 'local', parts.localBytesMax)
  }

  /** This node's count of changes. */
  get revision(): number {
    return this.#parts.history.revision
  }

  /** Versions before this revision are gone. */
  get compacted(): number {
    return this.#parts.history.compacted
  }

  /** Changes that can still be read. */
  get changes(): number {
    return this.#parts.history.changes
  }

  kindOf(key: string): KeyKind {
    return this.#parts.policy.kindOf(key)
  }

  /** @throws NodeError FORBIDDEN for keys that no client writes, whatever it may do otherwise. */
  refuseRoomsOwn(key: string): void {
    if (this.#parts.policy.isRoomsOwn?.(key) !== true) return
    const message = `${key} is written by the node itself alone: see "maoctl instance rotate-key", "maoctl federation policy" and "maoctl federation remove" for members, "maoctl round open", "maoctl vote" and "maoctl dataset audit" for what is agreed on`
    throw new NodeError('FORBIDDEN', message, { key })
  }

  /** @throws NodeError as `range`. */
  get(key: string, at?: number): KeyValue | undefined {
    return this.#parts.history.get(key, at)
  }

  /**
   * What was there at revision `at`, sorted by key; 0 or nothing is now.
   *
   * @throws NodeError REVISION_COMPACTED, REVISION_FUTURE
   */
  range(range: KeyRange, at?: number): readonly KeyValue[] {
    return this.#parts.history.range(range, at)
  }

  /** @throws NodeError as `range`. */
  count(range: KeyRange, at?: number): number {
    return this.#parts.history.count(range, at)
  }

  /** The first `max` changes from revision `from` on, oldest first. @throws NodeError REVISION_COMPACTED */
  events(from: number, max: number): readonly KeyEvent[] {
    return this.#parts.history.events(from, max)
  }

  /** Hears of all changes of one revision at once, after they are durable. @returns how to stop hearing. */
  onEvents(heard: OnEvents): () => void {
    this.#heard.add(heard)
    return () => this.#heard.delete(heard)
  }

  /**
   * Runs `plan` alone; all that it writes gets one revision and is durable when this resolves.
   *
   * @throws NodeError STORE_FAILED, QUEUE_FULL, and what `plan` throws; then nothing of it is kept.
   */
  transact<T>(plan: Plan<T>): Promise<{ result: T; revision: number }> {
    return this.#parts.run(async (batch) => {
      const result = await batch.attempt((draft) => plan(this.#transaction(batch, draft)))
      return { result, revision: batch.revision }
    })
  }

  /** Forgets versions that were replaced before `revision`. @throws NodeError REVISION_COMPACTED, REVISION_FUTURE */
  compact(revision: number): Promise<void> {
    return this.#parts.writer.compact(revision)
  }

  /** The last write failed: the disk is full, or broken. */
  get failing(): boolean {
    return this.#parts.writer.counts.failing
  }

  /** Has the store give back the room of what was deleted. @throws NodeError STORE_FAILED */
  defragment(): Promise<void> {
    return this.#parts.store.defragment()
  }

  /** @throws NodeError as `range`. */
  hash(at = 0): { hash: number; revision: number; compacted: number } {
    const { history } = this.#parts
    return { hash: history.hash(at), revision: history.revision, compacted: history.compacted }
  }

  /** Of all versions kept. */
  sizeBytes(): number {
    return this.#parts.history.bytes
  }

  /** Of what is there now. */
  sizeInUseBytes(): number {
    return this.range(EVERY_KEY).reduce((sum, kv) => sum + kv.framed.length, 0)
  }

  /** Tells what a batch changed, revision by revision. */
  tell(batch: Batch): void {
    for (const { events } of batch.groups) this.#space.take(events)
    for (const { events, revision } of batch.groups) for (const heard of this.#heard) heard(events, revision)
  }

  #transaction(batch: Batch, draft: Draft): Transaction {
    return {
      revision: draft.revision,
      get: (key) => draft.get(key),
      range: (range) => draft.range(range),
      put: (key, value, lease) => this.#put(batch, draft, key, value, lease),
      delete: async (range) => {
        const present = draft.range(range)
        for (const { key } of present) await this.#delete(draft, key)
        return present
      },
    }
  }

  async #put(batch: Batch, draft: Draft, key: string, value: Uint8Array, lease: bigint): Promise<KeyValue> {
    const { leases, pen } = this.#parts
    const expiresMs = lease === 0n ? undefined : leases.checkIn(lease, batch)
    if (this.kindOf(key) === 'local') return this.#putLocal(draft, key, value, lease)
    this.#refuseReserved(key)
    this.refuseRoomsOwn(key)
    // A copy: what a request carries is a window into all of it.
    const writing = { value: Uint8Array.from(value), expiresMs, lease, shown: true, always: true }
    await pen.write(draft, key, writing)
    const shown = draft.get(key)
    if (shown === undefined) throw new NodeError('CONFLICT', `${key} was written but is not shown`, { key })
    return shown
  }

  #putLocal(draft: Draft, key: string, value: Uint8Array, lease: bigint): KeyValue {
    const previous = draft.get(key)
    const kv = draft.put(key, value, lease)
    this.#space.check(kv, previous, () => this.range(EVERY_KEY))
    return kv
  }

  async #delete(draft: Draft, key: string): Promise<void> {
    if (this.kindOf(key) === 'local') return draft.remove(key)
    this.refuseRoomsOwn(key)
    await this.#parts.pen.write(draft, key, { value: null })
  }

  #refuseReserved(key: string): void {
    if (this.kindOf(key) !== 'reserved') return
    const message = `The federation shares no key ${shownKey(key)}: its keys are names of letters, digits and . _ ~ -, as many below each prefix as protocols/keyspace.md says; keys of your own stand outside its prefixes, such as /local/…`
    throw new NodeError('INVALID_INPUT', message, { key })
  }
}

/** A key as whoever wrote it sees it, where its bytes are text at all. */
function shownKey(key: string): string {
  const text = keyBytes(key).toString('utf8')
  return JSON.stringify(Buffer.from(text, 'utf8').equals(keyBytes(key)) ? text : key)
}
