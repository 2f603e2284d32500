/**
 * Requests to be admitted (protocols/join.md §3): whoever is asked keeps the question in the registry, where every
 * operator sees it and every member can tell how it stands. An operator's word on it is an admission, or a denial that
 * is kept for as long as the request would have been.
 */
import type { Clock } from '../base/clock.ts'
import { messageOf, NodeError } from '../base/errors.ts'
import type { Startable } from '../base/lifecycle.ts'
import {
  requestLifeMs,
  requestsLookAgainMs,
  requestsOpenMax,
  requestsOpenPerSourceMax,
} from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { Collection, decodeJson } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import type { FederationPolicyText } from './federation-policy.ts'
import type { Genesis } from './genesis.ts'
import type { Role } from './keyspace.ts'
import type { Member, Members } from './members.ts'
import type { Answer, RequestQuestion } from './questions.ts'
import { type ReadRequest, type RequestRecord, readRequest, requestSchema } from './request-claims.ts'
import { type Kept, RequestPace, toGiveWay } from './request-pace.ts'

export interface PendingRequest extends ReadRequest {
  readonly peer: string
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
  /** Where those came from who asked this node itself; those of before a restart are as one. */
  readonly #sources = new Map<string, string>()
  #opening: Promise<void> | undefined
  #again = false
  #timer: NodeJS.Timeout | undefined

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
    clearTimeout(this.#timer)
    await this.#opening
  }

  /** Those that nobody has decided, and those denied; the oldest first. */
  list(): PendingRequest[] {
    const { members } = this.#parts
    return this.#collection
      .list()
      .filter(({ name: peer }) => members.get(peer) === undefined)
      .flatMap(({ name: peer }) => this.#read(peer) ?? [])
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
    const known = this.#read(peer)
    if (known?.denied !== undefined) {
      const { federation, name } = genesis
      return { kind: 'denied', federation, name, reason: known.denied.reason }
    }
    if (known !== undefined) return this.#waiting(known.askedMs)
    const { join, newcomers } = policy()
    if (join === 'invitation') throw this.#closed()
    await this.#refuseFlood(peer)
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

  /** @throws NodeError NOT_OPERATOR, REQUEST_NOT_FOUND */
  async deny(wanted: string, reason = ''): Promise<PendingRequest> {
    this.#parts.members.refuseOthers('deny requests')
    const { peer, name, message, contact, askedMs } = this.#find(wanted)
    const atMs = this.#parts.clock.now()
    const value = { name, message, contact, askedMs, denied: { reason, atMs } }
    // Another operator's claim may be shown before ours; a no counts all the same.
    await this.#collection.put(peer, value, { expiresMs: atMs + requestLifeMs, shown: false })
    return this.#read(peer) as PendingRequest
  }

  /** Who asked takes it back; a denial stays. @throws NodeError NOT_OPERATOR when another member keeps the request. */
  async withdraw(peer: string): Promise<void> {
    const { members, self, registry } = this.#parts
    const known = this.#read(peer)
    if (known === undefined || known.denied !== undefined) return
    const isOurs = registry.claims(`/requests/${peer}`).some(({ author }) => author === self)
    if (!isOurs && members.self().role !== 'operator') {
      throw new NodeError('NOT_OPERATOR', 'Another member keeps the request; tell that one, or an operator')
    }
    await this.#collection.remove(peer, { shown: false })
  }

  async #keep(peer: string, { name, message, contact }: RequestQuestion): Promise<Answer> {
    if (this.#parts.members.self().role === 'observer') {
      throw new NodeError('NOT_OPERATOR', 'This node only observes and takes no requests; ask another member')
    }
    const askedMs = this.#parts.clock.now()
    const value = { name, message, contact, askedMs }
    await this.#collection.put(peer, value, { expiresMs: askedMs + requestLifeMs })
    this.#sources.set(peer, this.#parts.sourceOf(peer))
    this.#parts.log.info({ peer, name }, 'a node asks to be admitted')
    return this.#waiting(askedMs)
  }

  /** [J9] Strangers can make identities without end; what they can make us keep has one. */
  async #refuseFlood(peer: string): Promise<void> {
    const { sourceOf, clock } = this.#parts
    const open = this.list().filter(({ denied }) => denied === undefined)
    const kept = this.#kept(open)
    const source = sourceOf(peer)
    const gives = open.length >= requestsOpenMax ? toGiveWay(kept, source) : undefined
    if (open.length >= requestsOpenMax && gives === undefined) {
      const message = `${open.length} requests are open; ask again when operators have decided some`
      throw new NodeError('QUEUE_FULL', message)
    }
    if (kept.filter((one) => one.source === source).length >= requestsOpenPerSourceMax) {
      const message = `${requestsOpenPerSourceMax} requests of your network are open here; ask again when operators have decided some`
      throw new NodeError('QUEUE_FULL', message)
    }
    if (!this.#pace.take(source, clock.now())) {
      throw new NodeError(
        'RATE_LIMITED',
        'This node has had many requests within the hour; ask again later, or another member',
      )
    }
    if (gives !== undefined) await this.#collection.remove(gives, { shown: false })
  }

  /** Those that were asked of this node. */
  #kept(open: readonly PendingRequest[]): Kept[] {
    const ours = open.filter(({ by }) => by === this.#parts.self)
    const peers = new Set(ours.map(({ peer }) => peer))
    for (const peer of this.#sources.keys()) if (!peers.has(peer)) this.#sources.delete(peer)
    return ours.map(({ peer, askedMs }) => {
      return { peer, askedMs, source: this.#sources.get(peer) ?? 'before' }
    })
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

  #read(peer: string): PendingRequest | undefined {
    const { registry, members, self } = this.#parts
    const claims = registry.claims(`/requests/${peer}`).flatMap(({ author, value, buried }) => {
      const parsed = buried === true ? undefined : requestSchema.safeParse(decodeJson(value))
      return parsed?.success === true ? [{ author, value: parsed.data }] : []
    })
    const isOperator = (author: string) => members.get(author)?.role === 'operator'
    const read = readRequest(claims, { self, isOperator })
    if (read === undefined) return undefined
    const former = members.former(peer)
    return { peer, ...read, ...(former === undefined ? {} : { formerly: former.reason }) }
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
    if (this.#opening !== undefined) {
      this.#again = true
      return
    }
    this.#again = false
    this.#opening = this.#admitAll().finally(() => {
      this.#opening = undefined
      if (this.#again && this.#isRunning) this.#openDoor()
    })
  }

  get #isRunning(): boolean {
    return this.#stopWatching.length > 0
  }

  async #admitAll(): Promise<void> {
    const { members, policy, self, clock, log } = this.#parts
    let isLeft = false
    for (const { peer, by, denied, formerly } of this.list()) {
      const isOpen = policy().join === 'open' && members.get(self)?.role === 'operator'
      if (!isOpen || !this.#isRunning) return
      if (denied !== undefined || formerly !== undefined) continue
      // [J10] Whoever keeps requests for others has the share of one address: a member is not to admit a crowd of its own.
      if (!this.#pace.take(`member ${by}`, clock.now())) {
        isLeft = true
        continue
      }
      try {
        await this.approve(peer)
      } catch (error) {
        isLeft = true
        log.warn({ peer, error: messageOf(error) }, 'a request was not admitted')
      }
    }
    if (isLeft) this.#lookLater()
  }

  #lookLater(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#openDoor(), requestsLookAgainMs)
    this.#timer.unref()
  }
}
