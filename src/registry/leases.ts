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
  expiresMs: number
}

export class Leases implements Startable {
  readonly #parts: LeasesParts
  readonly #leases = new Map<bigint, Lease>()
  #sweeper: NodeJS.Timeout | undefined

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
      await batch.attempt(async (draft) => {
        for (const key of this.#keysIn(id, batch)) await this.#delete(draft, key)
      })
      batch.setLease(id, null)
      return batch.revision
    })
  }

  /** @returns the seconds that it has again. @throws NodeError LEASE_NOT_FOUND, STORE_FAILED */
  async keepAlive(id: bigint): Promise<number> {
    const { history, policy, run, pen, clock } = this.#parts
    const lease = this.#lease(id)
    const expiresMs = clock.now() + lease.ttlSeconds * SECOND_MS
    const shared = history.keysOf(id).filter((key) => policy.kindOf(key) === 'shared')
    if (shared.length > 0) {
      await run(async (batch) => {
        this.checkIn(id, batch)
        for (const key of shared) {
          await batch.attempt(async (draft) => {
            const own = draft.claims(key).find((claim) => claim.author === this.#parts.self)
            const held = draft.get(key)?.lease === id && own !== undefined && own.value !== null
            if (held) await pen.write(draft, key, { value: own.value, expiresMs, lease: id })
          })
        }
      })
    }
    lease.expiresMs = Math.max(lease.expiresMs, expiresMs)
    return lease.ttlSeconds
  }

  /** What is left of a lease, whole seconds, and what hangs on it; undefined when there is none. */
  timeToLive(
    id: bigint,
  ): { ttlSeconds: number; grantedSeconds: number; keys: readonly string[] } | undefined {
    const { clock, history } = this.#parts
    const lease = this.#leases.get(id)
    if (lease === undefined) return undefined
    const ttlSeconds = Math.max(0, Math.floor((lease.expiresMs - clock.now()) / SECOND_MS))
    return { ttlSeconds, grantedSeconds: lease.ttlSeconds, keys: history.keysOf(id) }
  }

  /** The one that ends first comes first, as etcd lists them. */
  list(): readonly bigint[] {
    return [...this.#leases].sort((a, b) => a[1].expiresMs - b[1].expiresMs).map(([id]) => id)
  }

  /** When what is put with a lease ends. @throws NodeError LEASE_NOT_FOUND */
  checkIn(id: bigint, batch: Pick<Batch, 'lease'>): number {
    const pending = batch.lease(id)
    if (pending) return this.#parts.clock.now() + pending.ttlSeconds * SECOND_MS
    if (pending === null) throw notFound(id)
    return this.#lease(id).expiresMs
  }

  /** Takes over what a batch changed, once it is durable. */
  apply(batch: Batch): void {
    for (const [id, row] of batch.leases) {
      if (row === null) this.#leases.delete(id)
      else this.#keep(row)
    }
  }

  /** Ends the leases whose time is over, each with its keys. */
  async sweep(): Promise<void> {
    const { clock, log } = this.#parts
    const over = [...this.#leases].filter(([, { expiresMs }]) => expiresMs <= clock.now())
    for (const [id, lease] of over) {
      try {
        // Kept alive or revoked since, it is not ours to end.
        if (this.#leases.get(id) === lease && lease.expiresMs <= clock.now()) await this.revoke(id)
      } catch (error) {
        log.warn(
          { lease: String(id), error: messageOf(error) },
          'a lease that is over was not ended; it is tried again',
        )
      }
    }
  }

  /** A shared key whose record has run out with the lease ends everywhere by itself; else it takes a tombstone. */
  async #delete(draft: Draft, key: string): Promise<void> {
    const { policy, pen, clock, self } = this.#parts
    if (policy.kindOf(key) === 'local') return draft.remove(key)
    const left = outliving(draft.claims(key), clock.now())
    if (left.some((claim) => claim.author === self)) await pen.write(draft, key, { value: null })
    else draft.replace(key, left)
  }

  #keysIn(id: bigint, batch: Batch): readonly string[] {
    const keys = new Set(this.#parts.history.keysOf(id))
    for (const { events } of batch.groups) for (const { kv } of events) if (kv.lease === id) keys.add(kv.key)
    return [...keys].filter((key) => batch.sum.get(key)?.lease === id).sort()
  }

  #keep({ id, ttlSeconds }: LeaseRow): void {
    this.#leases.set(id, { ttlSeconds, expiresMs: this.#parts.clock.now() + ttlSeconds * SECOND_MS })
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

function notFound(id: bigint): NodeError {
  return new NodeError('LEASE_NOT_FOUND', `There is no lease ${id}; it may have run out`)
}
