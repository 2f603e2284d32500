/**
 * Leases as etcd has them (etcd: server/lease): keys hang on a lease and go with it. A lease is this node's own; what
 * hangs on it may be shared, and then every record says when it ends, so that it ends everywhere, also when this node is
 * gone (protocols/etcd.md §6).
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import {
  leaseSweepIntervalMs,
  leasesMax,
  leaseTtlSecondsMax,
  leaseTtlSecondsMin,
  SECOND_MS,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { Batch, LeaseRow } from './batch.ts'
import type { Draft } from './draft.ts'
import type { History } from './history.ts'
import type { Policy } from './judge.ts'
import type { Pen } from './pen.ts'
import { outliving } from './sweep.ts'
import type { Writer } from './writer.ts'

export interface LeasesParts {
  readonly self: string
  /** Runs work again when a cluster has moved on in between. */
  readonly run: Writer['run']
  readonly history: Pick<History, 'keysOf' | 'revision'>
  readonly pen: Pick<Pen, 'write'>
  readonly policy: Pick<Policy, 'kindOf' | 'arrange'>
  readonly clock: Clock
  readonly log: Logger
}

interface Lease {
  readonly ttlSeconds: number
  /** By the clock that only goes forward: a wall clock that is set must neither end a lease nor stretch it. */
  endsMs: number
}

export class Leases implements Startable {
  readonly #parts: LeasesParts
  readonly #leases = new Map<bigint, Lease>()
  #sweeper: NodeJS.Timeout | undefined
  #sweeping = false

  constructor(parts: LeasesParts) {
    this.#parts = parts
  }

  /** As after an election in etcd, each lease has its whole time again after a start. */
  restore(rows: readonly LeaseRow[]): void {
    this.#leases.clear()
    for (const row of rows) this.#keep(row)
  }

  async start(): Promise<void> {
    if (this.#sweeper !== undefined) return
    this.#sweeper = setInterval(() => void this.sweep(), leaseSweepIntervalMs)
    this.#sweeper.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }

  /**
   * @param id 0 has one chosen.
   * @returns the time it was given, which is never less than the shortest there is.
   * @throws NodeError LEASE_EXISTS, INVALID_INPUT (a time beyond the bounds), QUEUE_FULL
   */
  async grant(id: bigint, ttlSeconds: number): Promise<LeaseRow> {
    if (ttlSeconds > leaseTtlSecondsMax || ttlSeconds < 1) {
      throw new NodeError('INVALID_INPUT', `A lease lasts 1 to ${leaseTtlSecondsMax} s, not ${ttlSeconds}`)
    }
    if (this.#leases.size >= leasesMax) throw new NodeError('QUEUE_FULL', `This node has ${leasesMax} leases`)
    const row = { id: id === 0n ? this.#freeId() : id, ttlSeconds: Math.max(ttlSeconds, leaseTtlSecondsMin) }
    return this.#parts.run((batch) => {
      const pending = batch.lease(row.id)
      if (pending ?? (pending !== null && this.#leases.has(row.id))) {
        throw new NodeError('LEASE_EXISTS', `There is a lease ${row.id} already`)
      }
      batch.setLease(row.id, row)
      return row
    })
  }

  /** Deletes the lease and the keys that hang on it, at one revision. @throws NodeError LEASE_NOT_FOUND */
  async revoke(id: bigint): Promise<number> {
    return this.#parts.run(async (batch) => {
      this.checkIn(id, batch)
      return this.#end(id, batch)
    })
  }

  async #end(id: bigint, batch: Batch): Promise<number> {
    await batch.attempt(async (draft) => {
      for (const key of this.#keysIn(id, batch)) await this.#delete(draft, key)
    })
    batch.setLease(id, null)
    return batch.revision
  }

  /** @returns the seconds that it has again. @throws NodeError LEASE_NOT_FOUND, STORE_FAILED */
  async keepAlive(id: bigint): Promise<number> {
    const { history, policy, run, clock } = this.#parts
    const lease = this.#lease(id)
    // What is over is ended by the next sweep; renewing it now would promise what is being taken away.
    if (isOver(lease)) throw notFound(id)
    const endsMs = monotonicMs() + lease.ttlSeconds * SECOND_MS
    const expiresMs = clock.now() + lease.ttlSeconds * SECOND_MS
    const shared = history.keysOf(id).filter((key) => policy.kindOf(key) === 'shared')
    if (shared.length > 0) {
      await run(async (batch) => {
        this.checkIn(id, batch)
        for (const key of shared) await batch.attempt((draft) => this.#prolong(draft, key, id, expiresMs))
      })
      // It may have been revoked while its records were on their way to the disk.
      if (this.#leases.get(id) !== lease) throw notFound(id)
    }
    lease.endsMs = Math.max(lease.endsMs, endsMs)
    return lease.ttlSeconds
  }

  async #prolong(draft: Draft, key: string, lease: bigint, expiresMs: number): Promise<void> {
    const own = draft.claims(key).find((claim) => claim.author === this.#parts.self)
    const held = draft.get(key)?.lease === lease && own !== undefined && own.value !== null
    if (held) await this.#parts.pen.write(draft, key, { value: own.value, expiresMs, lease })
  }

  /** What is left of a lease, whole seconds, and what hangs on it; undefined when there is none. */
  timeToLive(
    id: bigint,
  ): { ttlSeconds: number; grantedSeconds: number; keys: readonly string[] } | undefined {
    const lease = this.#leases.get(id)
    if (lease === undefined) return undefined
    const ttlSeconds = Math.max(0, Math.floor((lease.endsMs - monotonicMs()) / SECOND_MS))
    return { ttlSeconds, grantedSeconds: lease.ttlSeconds, keys: this.#parts.history.keysOf(id) }
  }

  /** The one that ends first comes first, as etcd lists them. */
  list(): readonly bigint[] {
    return [...this.#leases].sort((a, b) => a[1].endsMs - b[1].endsMs).map(([id]) => id)
  }

  /** When what is put with a lease ends. @throws NodeError LEASE_NOT_FOUND */
  checkIn(id: bigint, batch: Pick<Batch, 'lease'>): number {
    const pending = batch.lease(id)
    if (pending) return this.#parts.clock.now() + pending.ttlSeconds * SECOND_MS
    if (pending === null) throw notFound(id)
    return Math.ceil(this.#parts.clock.now() + this.#lease(id).endsMs - monotonicMs())
  }

  /** Takes over what a batch changed, once it is durable. */
  apply(batch: Batch): void {
    for (const [id, row] of batch.leases) {
      if (row === null) this.#leases.delete(id)
      else this.#keep(row)
    }
  }

  /** Ends the leases whose time is over, each with its keys; one sweep at a time. */
  async sweep(): Promise<void> {
    if (this.#sweeping) return
    this.#sweeping = true
    try {
      for (const [id, lease] of [...this.#leases]) {
        if (this.#sweeper === undefined) break
        if (isOver(lease)) await this.#endOver(id, lease)
      }
    } finally {
      this.#sweeping = false
    }
  }

  async #endOver(id: bigint, lease: Lease): Promise<void> {
    try {
      await this.#parts.run(async (batch) => {
        // Kept alive or revoked while this waited, it is not ours to end.
        if (this.#leases.get(id) === lease && batch.lease(id) === undefined && isOver(lease)) {
          await this.#end(id, batch)
        }
      })
    } catch (error) {
      const said = { lease: String(id), error: messageOf(error) }
      this.#parts.log.warn(said, 'a lease that is over was not ended; it is tried again')
    }
  }

  /** A shared key whose record has run out with the lease ends everywhere by itself; else it takes a tombstone. */
  async #delete(draft: Draft, key: string): Promise<void> {
    const { policy, pen, clock, self } = this.#parts
    if (policy.kindOf(key) === 'local') return draft.remove(key)
    // Its end was rounded up to a millisecond when it was written.
    const left = outliving(draft.claims(key), clock.now() + 1)
    if (left.some((claim) => claim.author === self)) await pen.write(draft, key, { value: null })
    else draft.replace(key, left)
  }

  #keysIn(id: bigint, batch: Batch): readonly string[] {
    const keys = new Set(this.#parts.history.keysOf(id))
    for (const { events } of batch.groups) for (const { kv } of events) if (kv.lease === id) keys.add(kv.key)
    return [...keys].filter((key) => batch.sum.get(key)?.lease === id).sort()
  }

  #keep({ id, ttlSeconds }: LeaseRow): void {
    this.#leases.set(id, { ttlSeconds, endsMs: monotonicMs() + ttlSeconds * SECOND_MS })
  }

  #lease(id: bigint): Lease {
    const lease = this.#leases.get(id)
    if (lease === undefined) throw notFound(id)
    return lease
  }

  /** Positive, as clients expect, and free. */
  #freeId(): bigint {
    for (;;) {
      const id = BigInt.asUintN(63, randomBytes(8).readBigUInt64BE())
      if (id !== 0n && !this.#leases.has(id)) return id
    }
  }
}

function monotonicMs(): number {
  return performance.now()
}

function isOver(lease: Lease): boolean {
  return lease.endsMs <= monotonicMs()
}

function notFound(id: bigint): NodeError {
  return new NodeError('LEASE_NOT_FOUND', `There is no lease ${id}; it may have run out`)
}
