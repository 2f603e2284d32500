/**
 * A federation's registries in memory, and a network between them that loses, doubles, delays and parts. The nodes run
 * the registry's own rules (registry-world-node.ts); what is left out is signatures, disks and sockets. One seed decides
 * everything, so a failure can be seen again. Time is simulated: a week takes milliseconds.
 */
import { clockSkewMaxMs, tombstoneGraceMs, tombstoneLifeMs } from '../../src/base/limits.ts'
import { arrange, type Roster } from '../../src/federation/keyspace.ts'
import type { Draft } from '../../src/registry/draft.ts'
import { examine } from '../../src/registry/judge.ts'
import type { Arrange, Merge } from '../../src/registry/merge.ts'
import { answer, collect } from '../../src/registry/ranges.ts'
import type { RegistryRecord, SealedRecord } from '../../src/registry/record.ts'
import { outliving } from '../../src/registry/sweep.ts'
import { FEDERATION, plainRecord } from './records.ts'
import { WorldNode } from './registry-world-node.ts'
import { pull } from './registry-world-pull.ts'
import { randomOf } from './voting-world.ts'

/** The rules that the nodes go by; a test puts a broken one in to see that it would be noticed. */
export interface Rules {
  readonly examine: typeof examine
  readonly take: (draft: Draft, record: SealedRecord, arranged: Arrange) => Merge
  readonly arrange: (claims: readonly SealedRecord[], roster: Roster) => SealedRecord[]
  readonly outliving: typeof outliving
  readonly answer: typeof answer
  readonly collect: typeof collect
  /** Whether an envelope is refused whose signer is not its record's author. */
  readonly checksSigner: boolean
  /** Whether a write is told to be there only when the disk has it. */
  readonly waitsForDisk: boolean
}

export const RULES: Rules = {
  examine,
  take: (draft, record, arranged) => draft.take(record, arranged),
  arrange,
  outliving,
  answer,
  collect,
  checksSigner: true,
  waitsForDisk: true,
}

export interface Weather {
  /** Chance that a message is lost, and that it comes twice. */
  readonly loss: number
  readonly doubling: number
  readonly delayMaxMs: number
  /** Chance that a catch-up is cut at any of its questions. */
  readonly cut: number
}

export const CALM: Weather = { loss: 0, doubling: 0, delayMaxMs: 20, cut: 0 }

/** How quickly time matters in a world: minutes of gossip, or weeks of tombstones. */
export interface Pace {
  readonly lengthMs: number
  readonly catchUpMs: number
  readonly sweepMs: number
  /** By how much a clock may be wrong, either way. */
  readonly clockErrorMs: number
}

export interface Sealed {
  readonly record: SealedRecord
  readonly signer: string
}

/** A write that was answered: from then on it must not be lost. */
export interface Acknowledged {
  readonly record: SealedRecord
  /** What a deletion took away: the claims that its writer saw and may bury. */
  readonly covered: readonly SealedRecord[]
}

/** What an event says that began nothing which goes on by itself. */
export const NOTHING_BEGUN = Symbol('nothing begun')

interface Event {
  readonly atMs: number
  readonly order: number
  readonly run: () => unknown
}

/** What of an envelope counts against its author's share; nothing here looks into it. */
const ENVELOPE_BYTES = 200
/** A catch-up in calm weather takes no longer. */
const REST_MS = 60_000
const TURNS = 32
const START_MS = 1_700_000_000_000

export class RegistryWorld {
  readonly random: () => number
  readonly rules: Rules
  readonly pace: Pace
  readonly founder: string
  readonly nodes: WorldNode[] = []
  readonly acknowledged: Acknowledged[] = []
  /** Everything that anybody ever sealed, forgeries too. */
  readonly sealed = new Map<Uint8Array, Sealed>()
  /** What was ever gossiped, as often as it was: whoever listened may say it again. */
  readonly heard: Uint8Array[] = []
  weather: Weather
  now = START_MS
  #failure: unknown
  #values = 0
  #order = 0
  #groups = new Map<string, number>()
  readonly #events: Event[] = []

  constructor(p: { seed: number; names: readonly string[]; weather: Weather; pace: Pace; rules?: Rules }) {
    this.random = randomOf(p.seed)
    this.weather = p.weather
    this.pace = p.pace
    this.rules = p.rules ?? RULES
    this.founder = p.names[0] as string
    for (const name of p.names) {
      const clockErrorMs = Math.round((this.random() * 2 - 1) * p.pace.clockErrorMs)
      this.nodes.push(new WorldNode(this, name, clockErrorMs))
    }
  }

  get startMs(): number {
    return START_MS
  }

  get honest(): WorldNode[] {
    return this.nodes.filter((node) => node.lies === undefined)
  }

  node(name: string): WorldNode {
    return this.nodes.find((node) => node.name === name) as WorldNode
  }

  one<T>(of: readonly T[]): T {
    return of[Math.floor(this.random() * of.length)] as T
  }

  chance(probability: number): boolean {
    return this.random() < probability
  }

  /** Bytes that no other value of this world has; the first one says what they mean where that matters. */
  value(first = 0): Uint8Array {
    this.#values += 1
    return new Uint8Array([first, this.#values >>> 16, (this.#values >>> 8) & 0xff, this.#values & 0xff])
  }

  /** What `signer` puts into an envelope; an honest one names itself as the author. */
  seal(
    fields: Partial<RegistryRecord> & { key: string; author: string },
    signer = fields.author,
  ): SealedRecord {
    const envelope = new Uint8Array(ENVELOPE_BYTES)
    const record = { ...plainRecord({ federation: FEDERATION, ...fields }), envelope }
    this.sealed.set(envelope, { record, signer })
    return record
  }

  /** What no node of a sound registry does. */
  fail(error: unknown): void {
    this.#failure ??= error
  }

  /** Whether its author has written nothing to its key since. */
  isLatest({ key, author, version }: SealedRecord): boolean {
    const all = [...this.sealed.values()].map(({ record }) => record)
    return !all.some((record) => record.key === key && record.author === author && record.version > version)
  }

  at(atMs: number, run: () => unknown): void {
    this.#order += 1
    // Clocks tell whole milliseconds.
    this.#push({ atMs: Math.ceil(atMs), order: this.#order, run })
  }

  every(intervalMs: number, run: () => unknown): void {
    const next = (atMs: number) => {
      if (atMs > this.startMs + this.pace.lengthMs) return
      this.at(atMs, () => {
        next(atMs + intervalMs)
        return run()
      })
    }
    next(this.now + this.random() * intervalMs)
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(this.now + ms, resolve))
  }

  async runUntil(endMs: number): Promise<void> {
    for (;;) {
      const next = this.#events[0]
      if (next === undefined || next.atMs > endMs) break
      this.#pop()
      this.now = Math.max(this.now, next.atMs)
      if (next.run() !== NOTHING_BEGUN) await quiet()
      if (this.#failure !== undefined) throw this.#failure
    }
    this.now = Math.max(this.now, endMs)
  }

  /** Runs until all that is under way has come to its end. */
  rest(): Promise<void> {
    return this.runUntil(this.now + REST_MS)
  }

  /** Nodes in different groups do not reach each other. */
  part(groups: readonly (readonly string[])[]): void {
    this.#groups = new Map(groups.flatMap((group, at) => group.map((name) => [name, at] as const)))
  }

  heal(): void {
    this.#groups.clear()
  }

  reaches(a: WorldNode, b: WorldNode): boolean {
    return a.up && b.up && this.#groups.get(a.name) === this.#groups.get(b.name)
  }

  /** Gossips an envelope to all others, or to some of them. */
  gossip(from: WorldNode, envelope: Uint8Array, to: readonly WorldNode[] = this.nodes): void {
    this.heard.push(envelope)
    for (const node of to) {
      if (node === from) continue
      const copies = this.chance(this.weather.doubling) ? 2 : 1
      for (let copy = 0; copy < copies; copy += 1) {
        if (this.chance(this.weather.loss)) continue
        this.at(this.now + 1 + this.random() * this.weather.delayMaxMs, () => {
          return this.reaches(from, node) ? node.hear(envelope, from) : NOTHING_BEGUN
        })
      }
    }
  }

  /** Everything is mended, everybody is there; a time in which nothing ends; and some rounds of catch-up. */
  async settle(): Promise<void> {
    this.weather = CALM
    this.heal()
    for (const node of this.nodes) if (!node.up) node.start()
    await this.rest()
    // Who comes back hears of deletions before they are forgotten.
    for (let round = 0; round < 2; round += 1) await this.#catchUp(this.nodes)
    this.now = this.#quietTime()
    // Liars have their say in all rounds but the last ones.
    for (let round = 0; round < this.nodes.length; round += 1) {
      await this.#catchUp(round === 0 ? this.nodes : this.honest)
    }
  }

  async #catchUp(servers: readonly WorldNode[]): Promise<void> {
    for (const node of this.nodes) node.sweep()
    for (const node of this.honest) {
      for (const server of servers) if (server !== node) pull(this, node, server)
    }
    await this.rest()
    for (const node of this.nodes) node.sweep()
    await this.rest()
  }

  /** The next time around which no clock, however wrong, sees a record begin or cease to count. */
  #quietTime(): number {
    const marginMs = 2 * this.pace.clockErrorMs + 600_000
    const times = [...this.sealed.values()].flatMap(({ record: { time, expires, value } }) => {
      const buriedMs = time + tombstoneLifeMs
      const ends = value === null ? [buriedMs, buriedMs + tombstoneGraceMs] : []
      return [time - clockSkewMaxMs, ...(expires === undefined ? [] : [expires]), ...ends]
    })
    let quietMs = this.now
    for (const time of times.sort((a, b) => a - b)) {
      if (time > quietMs - marginMs && time < quietMs + marginMs) quietMs = time + marginMs + 1
    }
    return quietMs
  }

  #push(event: Event): void {
    const heap = this.#events
    let at = heap.push(event) - 1
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (!before(event, heap[parent] as Event)) break
      heap[at] = heap[parent] as Event
      at = parent
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#events
    const last = heap.pop() as Event
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child += 1
      if (!before(heap[child] as Event, last)) break
      heap[at] = heap[child] as Event
      at = child
    }
    heap[at] = last
  }
}

function before(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

/** What an event set off goes on for some turns before the next one; or further beside it, as in a node at work. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) await undefined
}
