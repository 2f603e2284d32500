import type { Clock } from '../base/clock.ts'
import { type Database, DURABLE, type Table, table } from '../base/database.ts'
import type { Startable } from '../base/lifecycle.ts'
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
import type { DatasetsSettings } from './settings.ts'

export interface FollowedParts {
  readonly self: string
  readonly rule: DatasetsSettings['follow']
  readonly database: Database
  readonly known: KnownDatasets
  readonly members: Pick<Members, 'list' | 'onChange'>
  /** Peer ids of the members that are there, as far as anybody knows. */
  readonly live: () => readonly string[]
  /** How long others have to be away before this node copies in their place, ms. */
  readonly patienceMs: number
  /** How often it is looked who is there, ms. */
  readonly lookMs: number
  readonly onChange: (dataset: string) => void
  readonly emit: (event: DatasetEvent) => void
  readonly clock: Clock
}

/** Which datasets this node copies, and why. */
export class Followed implements Startable {
  readonly #parts: FollowedParts
  readonly #table: Table<Choice>
  /** By id of the dataset, as all that follows. */
  readonly #choices = new Map<string, Choice>()
  readonly #standings = new Map<string, Standing>()
  readonly #lines = new Map<string, readonly string[]>()
  /** What was decided last, so that a change is told. */
  readonly #told = new Map<string, boolean>()
  #timer: NodeJS.Timeout | undefined
  #unwatch: (() => void) | undefined

  constructor(parts: FollowedParts) {
    this.#parts = parts
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
    for (const known of this.#parts.known.list()) this.#told.set(known.id, this.decide(known).followed)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#unwatch?.()
    this.#lines.clear()
    this.#standings.clear()
    this.#told.clear()
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
    return decideFollow({ policy, isOwner, rule, choice, wanted, copies })
  }

  /** Remembers what somebody wants of this node, and begins or ends to copy. */
  async choose(name: string, choice: Choice): Promise<void> {
    const { id } = this.#parts.known.need(name)
    this.#choices.set(id, choice)
    await this.#table.put(id, choice, DURABLE)
    this.look()
  }

  /** Looks who is there, and which decisions have changed with it. */
  look(): void {
    const { known, onChange, emit } = this.#parts
    const present = new Set<string>()
    for (const one of known.list()) {
      present.add(one.id)
      const decision = this.decide(one)
      const before = this.#told.get(one.id)
      this.#told.set(one.id, decision.followed)
      if (before === undefined || before === decision.followed) continue
      emit({ type: 'followed', dataset: one.name, ...decision })
      onChange(one.name)
    }
    for (const kept of [this.#standings, this.#lines, this.#told]) {
      for (const id of kept.keys()) if (!present.has(id)) kept.delete(id)
    }
  }

  #standing({ id, owner }: Known, wanted: number): Standing {
    const { self, members, live, clock, patienceMs } = this.#parts
    let line = this.#lines.get(id)
    if (line === undefined) {
      line = lineFor(
        id,
        members
          .list()
          .map(({ peer }) => peer)
          .filter((peer) => peer !== owner),
      )
      this.#lines.set(id, line)
    }
    const seat = seatOf(line, self, wanted, new Set(live()))
    const standing = nextStanding(this.#standings.get(id), seat, clock.now(), patienceMs)
    this.#standings.set(id, standing)
    return standing
  }
}
