/** The grants of this node's federation: what they say now, and how they are given (access.ts decides). */
import type { Clock } from '../base/clock.ts'
import { NodeError } from '../base/errors.ts'
import { timerMaxMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { Members } from '../federation/members.ts'
import { Collection, decodeJson } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import {
  type Access,
  type AccessFacts,
  accessOnceVote,
  type Electable,
  type Grant,
  type GrantRecord,
  grantSchema,
  latestGrants,
  mayHave,
  nextChangeMs,
  votedBefore,
  votersOn,
} from './access.ts'
import { DATASET_PREFIX, datasetSchema } from './dataset-record.ts'
import type { Known } from './known-datasets.ts'
import { claimOf, decideClaim, isDisputed, proofOf } from './name-claims.ts'

const PREFIX = '/grants/'

const votedOf = ({ voted }: Pick<Grant, 'voted'>) => (voted === undefined ? {} : { voted })

/** A dataset as a node knows it. */
export type Held = Pick<Known, 'id' | 'owner' | 'record' | 'rivals'>

export interface DatasetAccessParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'claims' | 'put' | 'delete' | 'watch'>
  readonly members: Pick<Members, 'list' | 'role' | 'isMember' | 'presentOf' | 'onChange'>
  readonly self: string
  readonly clock: Clock
  readonly log: Logger
}

/** What somebody is to be granted. */
export interface Granting {
  readonly read: boolean
  readonly vote: boolean
  /** Ms since the epoch; without it the grant has no end. */
  readonly until?: number
}

export class DatasetAccess {
  readonly #parts: DatasetAccessParts
  readonly #grants: Collection<GrantRecord>
  readonly #listeners = new Set<(dataset: string) => void>()
  /** Facts by name, as of the last change of what they rest on. */
  readonly #facts = new Map<string, AccessFacts | undefined>()
  #unwatch: (() => void)[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(parts: DatasetAccessParts) {
    this.#parts = parts
    const { registry, log } = parts
    this.#grants = new Collection({ registry, prefix: PREFIX, schema: grantSchema, log })
  }

  /**
   * [A2] Whether a member may have a shared dataset's objects, by what is granted.
   *
   * @param held what this node holds under the name. All others may show another dataset there by now (H26): a rival
   * claim that restricts nothing opens no copy of the one that is restricted. While this node cannot tell whose copy it
   * holds, each claim has to let the peer.
   */
  mayRead(peer: string, name: string, held: Held | undefined): boolean {
    const { rivals = [] } = held ?? {}
    return [held, ...rivals].every((one) => this.#lets(peer, name, one))
  }

  #lets(peer: string, name: string, held: Omit<Held, 'rivals'> | undefined): boolean {
    const nowMs = this.#parts.clock.now()
    const facts = this.facts(name)
    if (held === undefined || held.id === facts?.id) return facts === undefined || mayHave(facts, peer, nowMs)
    const { id, owner: founder, record } = held
    const grants = record.access === undefined ? new Map() : this.#grantsOf(name, { id, founder })
    return mayHave({ founder, access: record.access, grants }, peer, nowMs)
  }

  /** [A4] Who votes on a dataset. [A6] While members dispute its name, no claim to it takes anybody's vote away. */
  voters(name: string): ReturnType<typeof votersOn> {
    const facts = this.facts(name)
    return votersOn(facts?.isDisputed ? undefined : facts, this.#parts.members.list() as Electable[])
  }

  /** Undefined where the registry shows no such dataset. */
  facts(name: string): AccessFacts | undefined {
    if (this.#unwatch.length === 0) return this.#read(name)
    if (!this.#facts.has(name)) {
      const facts = this.#read(name)
      this.#facts.set(name, facts)
      this.#awaitChange()
    }
    return this.#facts.get(name)
  }

  /** Hears of each dataset about which something else holds than before. @returns how to stop hearing. */
  onChange(heard: (dataset: string) => void): () => void {
    const { registry, members } = this.#parts
    this.#listeners.add(heard)
    if (this.#unwatch.length === 0) {
      const changed = (name: string | undefined) => this.#changed(name)
      this.#unwatch = [
        registry.watch(PREFIX, ({ key }) => changed(key.split('/')[2])),
        registry.watch(DATASET_PREFIX, ({ key }) => changed(key.split('/')[2])),
        // Who is an operator decides whose grants count, and so does which key a founder has now; both change without
        // any word about it as well, as when an operator's time is over.
        members.onChange(() => {
          for (const name of [...this.#facts.keys()]) changed(name)
        }),
      ]
    }
    return () => {
      this.#listeners.delete(heard)
      if (this.#listeners.size > 0) return
      for (const stop of this.#unwatch.splice(0)) stop()
      clearTimeout(this.#timer)
      this.#facts.clear()
    }
  }

  /** @throws NodeError DATASET_NOT_FOUND, FORBIDDEN (neither founder nor operator), MEMBER_NOT_FOUND, INVALID_INPUT */
  async grant(name: string, peer: string, { read, vote, until }: Granting): Promise<Grant> {
    const { members, self, clock } = this.#parts
    const facts = this.#need(name)
    const now = clock.now()
    if (!members.isMember(peer))
      throw new NodeError('MEMBER_NOT_FOUND', `No member of the federation has the peer id ${peer}`, { peer })
    if (until !== undefined && until <= now) {
      throw new NodeError(
        'INVALID_INPUT',
        `A grant cannot end at ${new Date(until).toISOString()}, which has passed`,
      )
    }
    const known = facts.grants.get(peer)
    // Whoever voted before goes on without a gap.
    const goesOn = known?.vote === vote && (known.until ?? Infinity) > now
    const since = goesOn ? known.since : now
    const before = goesOn ? votedOf(known) : votedBefore(known, now)
    const value = {
      dataset: facts.id,
      read,
      vote,
      since,
      ...(until === undefined ? {} : { until }),
      ...before,
    }
    await this.#grants.put(`${name}/${peer}/${self}`, value)
    return this.#need(name).grants.get(peer) as Grant
  }

  /** Ends a grant now; what was voted under it stays good. @throws NodeError DATASET_NOT_FOUND, FORBIDDEN, NOT_GRANTED */
  async revoke(name: string, peer: string): Promise<Grant> {
    const { self, clock } = this.#parts
    const { grants, id } = this.#need(name)
    const known = grants.get(peer)
    const now = clock.now()
    if (known === undefined || (known.until ?? Infinity) <= now) {
      const message = `Nothing of ${name} is granted to ${peer}; "maoctl dataset access show ${name}" lists what is`
      throw new NodeError('MEMBER_NOT_FOUND', message, { name, peer })
    }
    const { read, vote, since } = known
    await this.#grants.put(`${name}/${peer}/${self}`, {
      dataset: id,
      read,
      vote,
      since,
      until: Math.max(now, since),
      ...votedOf(known),
    })
    return this.#need(name).grants.get(peer) as Grant
  }

  /** @throws NodeError DATASET_NOT_FOUND, FORBIDDEN for who has no say about it. */
  demandSay(name: string): void {
    this.#need(name)
  }

  /** What the record is to say once somebody wants this. */
  changed(before: Access | undefined, wanted: Partial<Pick<Access, 'read' | 'vote'>>): Access {
    const { read = before?.read ?? 'members', vote = before?.vote ?? 'members' } = wanted
    return accessOnceVote(before, { read, vote }, this.#parts.clock.now())
  }

  #need(name: string): AccessFacts {
    const facts = this.#read(name)
    const { members, self } = this.#parts
    if (facts === undefined)
      throw new NodeError('DATASET_NOT_FOUND', `No dataset that members share is named ${name}`, { name })
    if (facts.founder !== self && members.role(self) !== 'operator') {
      const message = `Who may have ${name} is said by who founded it, ${facts.founder}, and by operators`
      throw new NodeError('FORBIDDEN', message, { name })
    }
    return facts
  }

  #read(name: string): AccessFacts | undefined {
    const { registry, members } = this.#parts
    const isOperator = (peer: string) => members.role(peer) === 'operator'
    const presentOf = (peer: string) => members.presentOf(peer)
    const claims = registry.claims(DATASET_PREFIX + name).flatMap((entry) => {
      const record = datasetSchema.safeParse(decodeJson(entry.value)).data
      if (record === undefined) return []
      const isOperators = isOperator(presentOf(entry.author))
      return [claimOf(entry, record, proofOf(name, entry.author, record), isOperators, presentOf)]
    })
    // What this node kept of the name before does not count: all come to the same.
    const decision = decideClaim(claims, undefined)
    if (decision === undefined) return undefined
    const { shown, founding } = decision
    const founder = founding.founder ?? founding.author
    const grants = this.#grantsOf(name, { id: shown.id, founder })
    return { id: shown.id, founder, access: shown.record.access, grants, isDisputed: isDisputed(decision) }
  }

  #grantsOf(name: string, { id, founder }: Pick<AccessFacts, 'id' | 'founder'>): Map<string, Grant> {
    const { members } = this.#parts
    const grants = this.#grants.list(`${name}/`).flatMap(({ name: place, value, entry }) => {
      const [peer, author] = [place.split('/')[1] ?? '', members.presentOf(entry.author)]
      if (value.dataset !== id || (author !== founder && members.role(author) !== 'operator')) return []
      return [{ ...value, peer: members.presentOf(peer), author, timeMs: entry.timeMs }]
    })
    return latestGrants(grants)
  }

  #changed(name: string | undefined): void {
    if (name === undefined) return
    this.#facts.delete(name)
    for (const heard of this.#listeners) heard(name)
    this.#facts.set(name, this.#read(name))
    this.#awaitChange()
  }

  /** One timer for the next grant that begins or ends, of all that were asked about. */
  #awaitChange(): void {
    clearTimeout(this.#timer)
    const now = this.#parts.clock.now()
    const nextMs = Math.min(
      Infinity,
      ...[...this.#facts.values()].map((facts) => nextChangeMs(facts?.grants.values() ?? [], now)),
    )
    if (nextMs === Infinity || this.#listeners.size === 0) return
    this.#timer = setTimeout(
      () => {
        for (const name of [...this.#facts.keys()]) for (const heard of this.#listeners) heard(name)
        this.#awaitChange()
      },
      Math.max(1, Math.min(nextMs - now, timerMaxMs)),
    )
    this.#timer.unref()
  }
}
