/**
 * Messages on their way. Each is on the disk before anybody is asked to take it, is tried again with growing pauses,
 * also after a restart, and its attempts are kept for people to read. A receiver that is down delays nobody else.
 */
import type { Clock } from '../../base/clock.ts'
import { type Database, DURABLE, type Table, table } from '../../base/database.ts'
import { messageOf, NodeError } from '../../base/errors.ts'
import type { Startable } from '../../base/lifecycle.ts'
import {
  deliveriesAtOnceMax,
  deliveriesKeptMax,
  deliveriesWaitingMax,
  deliveryPausesMs,
  deliveryReasonCharactersMax,
  deliveryTimeoutMs,
  timerMaxMs,
} from '../../base/limits.ts'
import type { Logger } from '../../base/logger.ts'
import type { Message, MessageEvent } from './message.ts'

/** Somebody outside who is told. */
export interface Receiver {
  readonly name: string
  readonly kind: 'webhook' | 'mail'
  readonly events: readonly MessageEvent[]
  /** @throws Error when it was not taken. */
  send(message: Message, signal: AbortSignal): Promise<void>
}

export interface DeliveryAttempt {
  timeMs: number
  /** Why it was not taken; absent when it was. */
  reason?: string
}

export interface Delivery {
  /** The message's id and the receiver's name. */
  id: string
  receiver: string
  message: Message
  state: 'waiting' | 'delivered' | 'given-up'
  attempts: DeliveryAttempt[]
  createdMs: number
  /** When it is tried next, ms since the epoch. */
  nextMs?: number
}

/** What becomes of a delivery after an attempt. Pure. */
export function afterAttempt(delivery: Delivery, attempt: DeliveryAttempt): Delivery {
  const { nextMs: _was, ...rest } = delivery
  const attempts = [...delivery.attempts, attempt]
  if (attempt.reason === undefined) return { ...rest, attempts, state: 'delivered' }
  const pauseMs = deliveryPausesMs[attempts.length - 1]
  if (pauseMs === undefined) return { ...rest, attempts, state: 'given-up' }
  return { ...rest, attempts, state: 'waiting', nextMs: attempt.timeMs + pauseMs }
}

export interface DeliveriesParts {
  readonly database: Database
  readonly receivers: readonly Receiver[]
  readonly clock: Clock
  readonly log: Logger
}

export class Deliveries implements Startable {
  readonly #parts: DeliveriesParts
  readonly #table: Table<Delivery>
  /** In order of arrival. */
  readonly #all = new Map<string, Delivery>()
  readonly #underWay = new Map<string, Promise<void>>()
  #stopping = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #open = false

  constructor(parts: DeliveriesParts) {
    this.#parts = parts
    this.#table = table(parts.database, 'deliveries')
  }

  async start(): Promise<void> {
    if (this.#open) return
    this.#all.clear()
    const stored: Delivery[] = []
    for await (const delivery of this.#table.values()) stored.push(delivery)
    for (const delivery of stored.sort((a, b) => a.createdMs - b.createdMs))
      this.#all.set(delivery.id, delivery)
    this.#stopping = new AbortController()
    this.#open = true
    this.#pump()
  }

  /** What is under way is cut, and tried again at the next start. */
  async stop(): Promise<void> {
    this.#open = false
    clearTimeout(this.#timer)
    this.#stopping.abort()
    await Promise.all(this.#underWay.values())
  }

  /** Newest first. */
  list(): Delivery[] {
    return [...this.#all.values()].reverse()
  }

  /**
   * Stores the message for everyone who wants it, or for one of them; what was told already is not told again.
   *
   * @returns what is new.
   */
  async tell(message: Message, only?: string): Promise<Delivery[]> {
    const { receivers, clock } = this.#parts
    const createdMs = clock.now()
    const fresh = receivers
      .filter(({ name, events }) => (only ?? name) === name && events.includes(message.event))
      .map(({ name }): Delivery => {
        const id = `${message.id}.${name}`
        return { id, receiver: name, message, state: 'waiting', attempts: [], createdMs, nextMs: createdMs }
      })
      .filter(({ id }) => !this.#all.has(id))
    if (fresh.length === 0) return fresh
    await this.#save(...fresh)
    await this.#makeRoom()
    this.#pump()
    return fresh
  }

  /** Tries one again at once, whatever became of it. @throws NodeError NOT_FOUND */
  async again(id: string): Promise<Delivery> {
    const delivery = this.#all.get(id)
    if (delivery === undefined) throw new NodeError('NOT_FOUND', `No delivery is named ${id}`, { id })
    const waiting: Delivery = { ...delivery, state: 'waiting', attempts: [], nextMs: this.#parts.clock.now() }
    await this.#save(waiting)
    this.#pump()
    return waiting
  }

  #pump(): void {
    if (!this.#open) return
    clearTimeout(this.#timer)
    const nowMs = this.#parts.clock.now()
    const waiting = [...this.#all.values()].filter(
      ({ id, state }) => state === 'waiting' && !this.#underWay.has(id),
    )
    const due = waiting.filter(({ nextMs = 0 }) => nextMs <= nowMs)
    // One for each receiver, so that those who answer do not wait behind one who does not.
    const busy = new Set([...this.#underWay.keys()].map((id) => this.#all.get(id)?.receiver))
    for (const delivery of due) {
      if (this.#underWay.size >= deliveriesAtOnceMax) break
      if (busy.has(delivery.receiver)) continue
      busy.add(delivery.receiver)
      this.#begin(delivery)
    }
    const later = waiting.filter(({ nextMs = 0 }) => nextMs > nowMs).map(({ nextMs = 0 }) => nextMs)
    if (later.length === 0) return
    const restMs = Math.min(Math.max(Math.min(...later) - nowMs, 1), timerMaxMs)
    this.#timer = setTimeout(() => this.#pump(), restMs)
    this.#timer.unref()
  }

  #begin(delivery: Delivery): void {
    const attempting = this.#attempt(delivery)
      .catch((error: unknown) => {
        this.#parts.log.error(
          { delivery: delivery.id, error: messageOf(error) },
          'a delivery was not recorded',
        )
      })
      .finally(() => {
        this.#underWay.delete(delivery.id)
        this.#pump()
      })
    this.#underWay.set(delivery.id, attempting)
  }

  async #attempt(delivery: Delivery): Promise<void> {
    const { receivers, clock, log } = this.#parts
    const receiver = receivers.find(({ name }) => name === delivery.receiver)
    let reason: string | undefined
    try {
      if (receiver === undefined) throw new Error('the settings name no such receiver any more')
      const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(deliveryTimeoutMs)])
      await receiver.send(delivery.message, signal)
    } catch (error) {
      // Cut by our own stop, it has not failed.
      if (this.#stopping.signal.aborted) return
      reason = reasonOf(error)
    }
    const timeMs = clock.now()
    const after = afterAttempt(delivery, { timeMs, ...(reason === undefined ? {} : { reason }) })
    // First in memory: on a disk that takes nothing, what was delivered must not be sent again and again.
    this.#all.set(after.id, after)
    await this.#save(after)
    const { receiver: to, state } = after
    if (reason === undefined) log.info({ delivery: after.id, to }, 'a message was delivered')
    else log.warn({ delivery: after.id, to, state, reason }, 'a message was not delivered')
  }

  /** The oldest that are done make room; when too many wait, the oldest of them are given up. */
  async #makeRoom(): Promise<void> {
    const all = [...this.#all.values()]
    const waiting = all.filter(({ state }) => state === 'waiting')
    const givenUp = waiting
      .slice(0, Math.max(0, waiting.length - deliveriesWaitingMax))
      .map((delivery): Delivery => {
        const attempt = { timeMs: this.#parts.clock.now(), reason: 'too many messages wait' }
        const { nextMs: _never, ...rest } = delivery
        return { ...rest, state: 'given-up', attempts: [...delivery.attempts, attempt] }
      })
    if (givenUp.length > 0) await this.#save(...givenUp)
    const done = [...this.#all.values()].filter(({ state }) => state !== 'waiting')
    const gone = done.slice(0, Math.max(0, done.length - deliveriesKeptMax))
    await this.#table.batch(gone.map(({ id }) => ({ type: 'del' as const, key: id })))
    for (const { id } of gone) this.#all.delete(id)
  }

  async #save(...deliveries: Delivery[]): Promise<void> {
    const puts = deliveries.map((value) => ({ type: 'put' as const, key: value.id, value }))
    await this.#table.batch(puts, DURABLE)
    for (const delivery of deliveries) this.#all.set(delivery.id, delivery)
  }
}

/** What fetch hides in its cause, too. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? ` (${messageOf(error.cause)})` : ''
  return `${messageOf(error)}${cause}`.slice(0, deliveryReasonCharactersMax)
}
