/**
 * Requests to be admitted (protocols/join.md §3): whoever is asked keeps the question in the registry, where every
 * operator sees it and every member can tell how it stands. An operator's word on it is an admission, or a denial that
 * is kept for as long as the request would have been.
 */
import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import {
  contactLengthMax,
  reasonLengthMax,
  requestLifeMs,
  requestMessageLengthMax,
  requestsOpenMax,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { nameSchema } from '../base/names.ts'
import { Collection, type Item } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import type { FederationPolicyText } from './federation-policy.ts'
import type { Genesis } from './genesis.ts'
import type { Role } from './keyspace.ts'
import type { Member, Members } from './members.ts'
import type { Answer, RequestQuestion } from './questions.ts'
import { RequestPace } from './request-pace.ts'

/** `/requests/<peer>`: what a peer asks for, and the operator's no where there is one. */
export const requestSchema = z.strictObject({
  name: nameSchema,
  message: z.string().max(requestMessageLengthMax),
  contact: z.string().max(contactLengthMax),
  askedMs: z.int().nonnegative(),
  denied: z.strictObject({ reason: z.string().max(reasonLengthMax), atMs: z.int() }).optional(),
})
export type RequestRecord = z.infer<typeof requestSchema>

export interface PendingRequest extends RequestRecord {
  readonly peer: string
  /** Peer id of the member that was asked, or of the operator who denied it. */
  readonly by: string
  /** Why the peer's earlier membership ended, for one that had one. */
  readonly formerly?: string
}

export interface RequestsParts {
  readonly genesis: Genesis
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'watch' | 'claims'>
  readonly members: Pick<Members, 'get' | 'self' | 'former' | 'admit' | 'refuseOthers' | 'onChange'>
  /** What holds now. */
  readonly policy: () => FederationPolicyText
  readonly self: string
  /** Where a peer's connection comes from. */
  readonly sourceOf: (peer: string) => string
  /** Where members can be reached. */
  readonly addresses: () => string[]
  readonly clock: Clock
  readonly log: Logger
}

export class Requests implements Startable {
  readonly #parts: RequestsParts
  readonly #collection: Collection<RequestRecord>
  readonly #pace = new RequestPace()
  #stopWatching: (() => void)[] = []
  #opening: Promise<void> = Promise.resolve()

  constructor(parts: RequestsParts) {
    this.#parts = parts
    const { registry, log } = parts
    this.#collection = new Collection({ registry, prefix: '/requests/', schema: requestSchema, log })
  }

  async start(): Promise<void> {
    if (this.#stopWatching.length > 0) return
    const { registry, members } = this.#parts
    const look = () => this.#openDoor()
    this.#stopWatching = ['/requests/', '/endorsements/'].map((prefix) => registry.watch(prefix, look))
    this.#stopWatching.push(members.onChange(look))
    look()
  }

  async stop(): Promise<void> {
    for (const stop of this.#stopWatching.splice(0)) stop()
    await this.#opening
  }

  /** Those that nobody has decided, and those denied; the oldest first. */
  list(): PendingRequest[] {
    const { members } = this.#parts
    return this.#collection
      .list()
      .filter(({ name: peer }) => members.get(peer) === undefined)
      .map((item) => this.#pending(item))
      .sort((a, b) => a.askedMs - b.askedMs || (a.peer < b.peer ? -1 : 1))
  }

  /** Answers a peer that asks to be admitted, or how its request stands. */
  async answer(peer: string, question: RequestQuestion): Promise<Answer> {
    const { genesis, members, policy } = this.#parts
    if (question.federation !== undefined && question.federation !== genesis.federation) {
      throw new NodeError(
        'NOT_FOUND',
        `This node belongs to ${genesis.name} (${genesis.federation}), not to the federation asked for`,
      )
    }
    // [J8] A founder that the genesis names is a member already, and so is who was approved meanwhile.
    const member = members.get(peer)
    if (member !== undefined) return this.#admitted(member)
    const known = this.#collection.get(peer)
    if (known?.value.denied !== undefined) {
      const { federation, name } = genesis
      return { kind: 'denied', federation, name, reason: known.value.denied.reason }
    }
    if (known !== undefined) return this.#waiting(known.value.askedMs)
    const { join, newcomers } = policy()
    if (join === 'invitation') throw this.#closed()
    this.#refuseFlood(peer)
    // [J10] Whoever was removed once is not let in by a door that merely stands open.
    if (join === 'open' && members.former(peer) === undefined && members.self().role === 'operator') {
      return this.#admitted(await members.admit(peer, question.name, newcomers))
    }
    return this.#keep(peer, question)
  }

  /** @throws NodeError NOT_OPERATOR, REQUEST_NOT_FOUND, INVALID_INPUT for an end that has passed. */
  async approve(wanted: string, options: { role?: Role; until?: number } = {}): Promise<Member> {
    this.#parts.members.refuseOthers('approve requests')
    const { peer, name } = this.#find(wanted)
    const { role = this.#parts.policy().newcomers, until } = options
    const member = await this.#parts.members.admit(peer, name, role, until === undefined ? {} : { until })
    await this.#collection.remove(peer, { shown: false })
    return member
  }

  /** @throws NodeError NOT_OPERATOR, REQUEST_NOT_FOUND, CONFLICT when another operator has denied it. */
  async deny(wanted: string, reason = ''): Promise<PendingRequest> {
    this.#parts.members.refuseOthers('deny requests')
    const { peer, name, message, contact, askedMs } = this.#find(wanted)
    const atMs = this.#parts.clock.now()
    const value = { name, message, contact, askedMs, denied: { reason, atMs } }
    return this.#pending(await this.#collection.put(peer, value, { expiresMs: atMs + requestLifeMs }))
  }

  async #keep(peer: string, { name, message, contact }: RequestQuestion): Promise<Answer> {
    if (this.#parts.members.self().role === 'observer') {
      throw new NodeError('NOT_OPERATOR', 'This node only observes and takes no requests; ask another member')
    }
    const askedMs = this.#parts.clock.now()
    const value = { name, message, contact, askedMs }
    await this.#collection.put(peer, value, { expiresMs: askedMs + requestLifeMs })
    this.#parts.log.info({ peer, name }, 'a node asks to be admitted')
    return this.#waiting(askedMs)
  }

  /** [J9] Strangers can make identities without end; what they can make us keep has one. */
  #refuseFlood(peer: string): void {
    const { sourceOf, clock } = this.#parts
    const open = this.list().filter(({ denied }) => denied === undefined).length
    if (open >= requestsOpenMax) {
      throw new NodeError(
        'QUEUE_FULL',
        `${open} requests are open; ask again when operators have decided some`,
      )
    }
    if (!this.#pace.take(sourceOf(peer), clock.now())) {
      throw new NodeError(
        'RATE_LIMITED',
        'This node has had many requests within the hour; ask again later, or another member',
      )
    }
  }

  #closed(): NodeError {
    const { contacts } = this.#parts.policy()
    const whom = contacts.length > 0 ? contacts.join(', ') : 'an operator'
    const message = `${this.#parts.genesis.name} admits by invitation alone; ask ${whom} for one`
    return new NodeError('FORBIDDEN', message, { contacts })
  }

  #admitted({ name }: Member): Answer {
    return { kind: 'admitted', genesis: this.#parts.genesis.envelope, name }
  }

  #waiting(askedMs: number): Answer {
    const { genesis, policy, addresses } = this.#parts
    const { federation, name } = genesis
    return { kind: 'pending', federation, name, askedMs, contacts: policy().contacts, addresses: addresses() }
  }

  #pending({ name: peer, value, entry }: Item<RequestRecord>): PendingRequest {
    const former = this.#parts.members.former(peer)
    return { peer, by: entry.author, ...value, ...(former === undefined ? {} : { formerly: former.reason }) }
  }

  /** By peer id, or by a name that only one of them has. */
  #find(wanted: string): PendingRequest {
    const all = this.list()
    const found = all.filter(({ peer, name }) => peer === wanted || name === wanted)
    const [first] = found
    if (first === undefined) {
      throw new NodeError('REQUEST_NOT_FOUND', `Nobody called ${wanted} asks to be admitted`, { wanted })
    }
    if (found.length === 1) return first
    const peers = found.map(({ peer }) => peer)
    throw new NodeError(
      'CONFLICT',
      `${found.length} nodes called ${wanted} ask; say which by its peer id: ${peers.join(', ')}`,
      { peers },
    )
  }

  /** In an open federation an operator's node admits whom another member was asked by. */
  #openDoor(): void {
    this.#opening = this.#opening
      .then(() => this.#admitAll())
      .catch((error: unknown) => {
        this.#parts.log.warn({ error: messageOf(error) }, 'requests were not admitted')
      })
  }

  async #admitAll(): Promise<void> {
    const { members, policy, self } = this.#parts
    for (const { peer, denied, formerly } of this.list()) {
      if (policy().join !== 'open' || members.get(self)?.role !== 'operator') return
      if (denied === undefined && formerly === undefined) await this.approve(peer)
    }
  }
}
