import { type Database, DURABLE, type Table, table } from '../base/database.ts'
import type { Startable } from '../base/lifecycle.ts'
import { datasetsPerMemberMax } from '../base/limits.ts'
import type { Members } from '../federation/members.ts'
import type { DatasetEvent } from './dataset-events.ts'
import {
  type Choice,
  decideFollow,
  type FollowDecision,
  lineFor,
  nextStanding,
  type Standing,
  seatOf,
} from './following.ts'
import type { Known, KnownDatasets } from './known-datasets.ts'
import { NamesByOwner } from './names-by-owner.ts'
import type { DatasetsSettings } from './settings.ts'

export interface FollowedParts {
  readonly self: string
  readonly rule: DatasetsSettings['follow']
  readonly database: Database
  readonly known: Pick<KnownDatasets, 'get' | 'need' | 'list'>
  readonly members: Pick<Members, 'list' | 'onChange'>
  /** Peer ids of the members that are there, as far as anybody knows. */
  readonly live: () => readonly string[]
  /** Whether a member may have a dataset, by what is granted. */
  readonly mayRead?: (peer: string, dataset: string) => boolean
  /** How long others have to be away before this node copies in their place, ms. */
  readonly patienceMs: number
  /** How often it is looked who is there, ms. */
  readonly lookMs: number
  readonly onChange: (dataset: string) => void
  readonly emit: (event: DatasetEvent) => void
  /** How many datasets of one founder are followed without being chosen; `datasetsPerMemberMax` by default. */
  readonly perMemberMax?: number
}

/** What was decided last of a name, so that a change is told. */
interface Told {
  readonly id: string
  readonly owner: string
  readonly followed: boolean
}

/** Which datasets this node copies, and why. */
export class Followed implements Startable {
  readonly #parts: FollowedParts
  readonly #table: Table<Choice>
  /** By id of the dataset, as the next two. */
  readonly #choices = new Map<string, Choice>()
  readonly #standings = new Map<string, Standing>()
  readonly #lines = new Map<string, readonly string[]>()
  /** By name. */
  readonly #told = new Map<string, Told>()
  readonly #owned: NamesByOwner
  #timer: NodeJS.Timeout | undefined
  #unwatch: (() => void) | undefined

  constructor(parts: FollowedParts) {
    this.#parts = parts
    this.#owned = new NamesByOwner(parts.perMemberMax ?? datasetsPerMemberMax)
    this.#table = table(parts.database, 'dataset-follow')
  }

  async load(): Promise<void> {
    this.#choices.clear()
    for await (const [id, choice] of this.#table.iterator()) this.#choices.set(id, choice)
  }

  async start(): Promise<void> {
    if (this.#timer !== undefined) return
    this.#unwatch = this.#parts.members.onChange(() => {
      this.#lines.clear()
      this.look()
    })
    this.#timer = setInterval(() => this.look(), this.#parts.lookMs)
    this.#timer.unref()
    this.look()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#unwatch?.()
    this.#lines.clear()
    this.#standings.clear()
    this.#told.clear()
    this.#owned.clear()
  }

  follows(name: string): boolean {
    const known = this.#parts.known.get(name)
    return known !== undefined && this.decide(known).followed
  }

  decide(known: Known): FollowDecision {
    const { rule, self } = this.#parts
    const { policy, owner, id, record } = known
    const choice = this.#choices.get(id)
    const isOwner = owner === self
    const wanted = record.replicas
    const inLine =
      policy === 'shared' && rule === 'all' && choice === undefined && wanted !== undefined && !isOwner
    const copies = inLine && this.#standing(known, wanted).copies
    const isBeyond = !isOwner && this.#owned.isBeyond(owner, known.name)
    const mayRead = this.#mayRead(self, known.name)
    return decideFollow({ policy, isOwner, rule, choice, wanted, copies, mayRead, isBeyond })
  }

  /** What somebody wants of this node, if anybody has said so. */
  choiceOf(name: string): Choice | undefined {
    const known = this.#parts.known.get(name)
    return known === undefined ? undefined : this.#choices.get(known.id)
  }

  /** Remembers what somebody wants of this node, and begins or ends to copy; undefined leaves it to the rule again. */
  async choose(name: string, choice: Choice | undefined): Promise<void> {
    const { id } = this.#parts.known.need(name)
    if (choice === undefined) {
      this.#choices.delete(id)
      await this.#table.del(id, DURABLE)
    } else {
      this.#choices.set(id, choice)
      await this.#table.put(id, choice, DURABLE)
    }
    this.lookAt(name)
  }

  /** Looks who is there, and which decisions have changed with it. */
  look(): void {
    const all = this.#parts.known.list()
    const present = new Set(all.map(({ name }) => name))
    // Whose datasets they are first: a decision counts them.
    for (const known of all) this.#owned.add(known.owner, known.name)
    for (const known of all) this.#decideAnew(known)
    for (const name of this.#told.keys()) if (!present.has(name)) this.lookAt(name)
  }

  /** The same for one name whose record has changed, or is gone; the work does not grow with the other datasets. */
  lookAt(name: string): void {
    const before = this.#told.get(name)
    const now = this.#parts.known.get(name)
    if (now !== undefined) this.#lines.delete(now.id)
    const moved = now === undefined ? [] : this.#owned.add(now.owner, name)
    if (before !== undefined && before.owner !== now?.owner)
      moved.push(...this.#owned.remove(before.owner, name))
    if (before !== undefined && before.id !== now?.id) {
      this.#standings.delete(before.id)
      this.#lines.delete(before.id)
    }
    if (now === undefined) this.#told.delete(name)
    else this.#decideAnew(now)
    for (const other of moved) {
      const known = other === name ? undefined : this.#parts.known.get(other)
      if (known !== undefined) this.#decideAnew(known)
    }
  }

  #decideAnew(known: Known): void {
    const { onChange, emit } = this.#parts
    const { name, id, owner } = known
    const decision = this.decide(known)
    const before = this.#told.get(name)
    this.#told.set(name, { id, owner, followed: decision.followed })
    if (before?.id !== id || before.followed === decision.followed) return
    emit({ type: 'followed', dataset: name, ...decision })
    onChange(name)
  }

  #mayRead(peer: string, name: string): boolean {
    return this.#parts.mayRead?.(peer, name) !== false
  }

  #standing({ id, owner, name }: Known, wanted: number): Standing {
    const { self, members, live, patienceMs } = this.#parts
    let line = this.#lines.get(id)
    if (line === undefined) {
      line = lineFor(
        id,
        members
          .list()
          .map(({ peer }) => peer)
          // Who may not have it keeps no copy, and others take its place in line.
          .filter((peer) => peer !== owner && this.#mayRead(peer, name)),
      )
      this.#lines.set(id, line)
    }
    const seat = seatOf(line, self, wanted, new Set(live()))
    // Of a clock that is never set back: patience must not last until a wrong time comes again.
    const nowMs = performance.now()
    const standing = nextStanding(this.#standings.get(id), seat, nowMs, patienceMs)
    this.#standings.set(id, standing)
    return standing
  }
}
