/**
 * One node of a simulated federation: the registry's own rules, and around them as thin a shell as the real one
 * (registry.ts, writer.ts, pen.ts) with a disk that takes its time and a memory that a crash empties.
 */
import { AssertionError } from 'node:assert'
import { NodeError } from '../../src/base/errors.ts'
import {
  clockSkewMaxMs,
  gossipPendingPerPeerMax,
  sweptRecordsMax,
  tombstoneLifeMs,
  versionCountedMax,
  versionFollowedMax,
} from '../../src/base/limits.ts'
import { silentLogger } from '../../src/base/logger.ts'
import type { Role, Roster } from '../../src/federation/keyspace.ts'
import { FederationPolicy } from '../../src/federation/policy.ts'
import { Batch } from '../../src/registry/batch.ts'
import { History } from '../../src/registry/history.ts'
import type { Policy } from '../../src/registry/judge.ts'
import { KeyValue } from '../../src/registry/key-value.ts'
import { shownOf } from '../../src/registry/merge.ts'
import { placeOf, type SealedRecord } from '../../src/registry/record.ts'
import { State } from '../../src/registry/state.ts'
import { Upkeep } from '../../src/registry/upkeep.ts'
import { mergeRefusal, reject, type Verdict } from '../../src/registry/verdict.ts'
import type { Work } from '../../src/registry/writer.ts'
import { FEDERATION, standingOf } from './records.ts'
import { NOTHING_BEGUN, type RegistryWorld } from './registry-world.ts'
import type { Lies } from './registry-world-liar.ts'

/** What survives a crash. */
export interface Rows {
  readonly records: Map<string, SealedRecord>
  readonly versions: Map<string, { readonly framed: Uint8Array; readonly sub: number }>
  readonly evidence: Map<string, SealedRecord>
  revision: number
  compacted: number
}

interface Waiting {
  readonly work: Work<unknown>
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

/** The first byte of the value of a member's record. */
export const ROLES: Readonly<Record<Role, number>> = { operator: 1, member: 2, observer: 0 }
/** The first byte of a value below /truth/ that proves itself. */
export const PROVEN = 7
/** What a write to the disk takes at most. */
export const DISK_MAX_MS = 20
/** As long gossipsub knows a message again. */
const SEEN_MS = 120_000
const RELAYED_TO = 2

export class WorldNode {
  readonly name: string
  readonly clockErrorMs: number
  readonly rows: Rows = {
    records: new Map(),
    versions: new Map(),
    evidence: new Map(),
    revision: 0,
    compacted: 0,
  }
  readonly distrusted = new Map<string, number>()
  /** What a dishonest node says to a catch-up. */
  lies: Lies | undefined
  up = true
  restarts = 0
  state = new State()
  history = new History()
  policy: Policy
  readonly #world: RegistryWorld
  #upkeep: Upkeep
  /** What it let go because its time was over, and the tombstones then; survives a crash, for the sake of the tests. */
  readonly #forgotten = new Map<SealedRecord, readonly SealedRecord[]>()
  /** Versions of own records that it has forgotten lately; the next goes above. */
  #floors = new Map<string, { readonly version: number; readonly untilMs: number }>()
  #roster: Map<string, { role: Role; since: number }> | undefined
  #waiting: Waiting[] = []
  #busy = false
  #life = 0
  #seen = new Map<Uint8Array, number>()

  constructor(world: RegistryWorld, name: string, clockErrorMs: number) {
    this.#world = world
    this.name = name
    this.clockErrorMs = clockErrorMs
    this.policy = this.#newPolicy()
    this.#upkeep = this.#newUpkeep()
  }

  get clockMs(): number {
    return this.#world.now + this.clockErrorMs
  }

  role(peer: string): Role | undefined {
    return this.#members().get(peer)?.role
  }

  /** Memory is lost, and with it whatever was on its way to the disk. */
  crash(): void {
    this.up = false
    this.restarts += 1
    this.#life += 1
    this.#waiting = []
    this.#busy = false
    this.#seen = new Map()
    this.#floors = new Map()
    this.#roster = undefined
  }

  start(): void {
    this.up = true
    this.state = new State()
    this.history = new History()
    this.policy = this.#newPolicy()
    this.#upkeep = this.#newUpkeep()
    const versions = [...this.rows.versions].sort(([a], [b]) => (a < b ? -1 : 1))
    const parsed = versions.map(([, { framed, sub }]) => KeyValue.parse(framed, sub))
    this.history.restore(parsed, this.rows.revision, this.rows.compacted)
    this.state.restore([...this.rows.records.values()])
    void this.#upkeep.settle()
  }

  /** What gossip brings is passed on when it is accepted. */
  hear(envelope: Uint8Array, from: WorldNode): unknown {
    const seenMs = this.#seen.get(envelope)
    if (seenMs !== undefined && this.#world.now < seenMs + SEEN_MS) return NOTHING_BEGUN
    if (this.#waiting.length > gossipPendingPerPeerMax) return NOTHING_BEGUN
    this.#seen.set(envelope, this.#world.now)
    return this.receive([envelope]).then(([verdict]) => {
      if (verdict?.action === 'accept') this.relay(envelope, from)
    })
  }

  relay(envelope: Uint8Array, from: WorldNode): void {
    const others = this.#world.nodes.filter((node) => node !== this && node !== from)
    const some = Array.from({ length: RELAYED_TO }, () => this.#world.one(others))
    this.#world.gossip(this, envelope, [...new Set(some)].filter(Boolean))
  }

  /** As Registry.receiveAll: judged as things stand, merged one after another, in one write. */
  async receive(envelopes: readonly Uint8Array[]): Promise<readonly Verdict[]> {
    const verdicts = await Promise.all(envelopes.map((envelope) => this.#judge(envelope)))
    if (!verdicts.some((verdict) => verdict.action === 'accept')) return verdicts
    const { take } = this.#world.rules
    return this.run(async (batch) => {
      const taken: Verdict[] = []
      for (const verdict of verdicts) {
        if (verdict.action !== 'accept') {
          taken.push(verdict)
          continue
        }
        const merged = await batch.attempt((draft) => take(draft, verdict.record, this.policy.arrange))
        taken.push(mergeRefusal(merged) ?? verdict)
      }
      return taken
    })
  }

  /** As Registry.put and delete, with the versions that the pen gives. @throws NodeError with the verdict's code */
  async write(key: string, value: Uint8Array | null, lifeMs?: number): Promise<SealedRecord | undefined> {
    if (value === null && this.state.claims(key).every((claim) => claim.value === null)) return undefined
    const { rules } = this.#world
    let covered: readonly SealedRecord[] = []
    const record = await this.run((batch) =>
      batch.attempt(async (draft) => {
        const claims = draft.claims(key)
        const written = this.#seal(claims, key, value, lifeMs)
        const bench = { federation: FEDERATION, held: draft, policy: this.policy }
        const refusal = await rules.examine(written, bench, this.clockMs)
        const unmerged = refusal ?? mergeRefusal(rules.take(draft, written, this.policy.arrange))
        if (unmerged !== undefined) throw new NodeError('CONFLICT', unmerged.code)
        const buries = (claim: SealedRecord) =>
          claim.author === this.name ||
          (this.role(this.name) === 'operator' && claim.version < written.version)
        if (value === null) covered = claims.filter((claim) => claim.value !== null && buries(claim))
        draft.write(written)
        return written
      }),
    )
    this.#world.acknowledged.push({ record, covered })
    return record
  }

  writeLocal(key: string, value: Uint8Array): Promise<unknown> {
    return this.run((batch) => batch.attempt((draft) => draft.put(key, value, 0n)))
  }

  /** As Upkeep does each second. */
  sweep(): unknown {
    if (!this.up) return NOTHING_BEGUN
    const { outliving } = this.#world.rules
    const due = this.state.due(this.clockMs, sweptRecordsMax)
    if (due.length === 0) return NOTHING_BEGUN
    const { state, policy, clockMs } = this
    return this.run(async (batch) => {
      for (const key of new Set(due.map((deadline) => deadline.key))) {
        await batch.attempt((draft) => {
          const before = draft.claims(key)
          const left = outliving(before, clockMs)
          if (left.length === before.length) return
          draft.replace(key, policy.arrange(left))
          const tombstones = before.filter(({ value }) => value === null)
          // What a younger tombstone buries too may come and go as long as that one is there.
          if (tombstones.some(({ time }) => time + tombstoneLifeMs >= clockMs)) return
          for (const claim of before) if (!left.includes(claim)) this.#forgotten.set(claim, tombstones)
        })
      }
    }).then(() => state.passed(due))
  }

  /** Forgets versions that were replaced before some revision. */
  compact(): void {
    const revision = this.history.compacted + Math.floor((this.history.revision - this.history.compacted) / 2)
    if (!this.up || this.#busy || revision <= this.history.compacted) return
    const dropped = this.history.outlived(revision)
    for (const kv of dropped) this.rows.versions.delete(positionOf(kv))
    this.rows.compacted = revision
    this.history.compact(revision, dropped)
  }

  /** Group commit: what comes while the disk is at work goes with the next write. */
  run<T>(work: Work<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ work, resolve: resolve as (result: unknown) => void, reject })
      if (this.#busy) return
      this.#busy = true
      this.#later(0, this.#life, () => this.#flush())
    })
  }

  async #flush(): Promise<void> {
    const life = this.#life
    const batch = new Batch(standingOf(this.state, this.history), this.history.revision)
    const tell: (() => void)[] = []
    for (const { work, resolve, reject: refuse } of this.#waiting.splice(0)) {
      try {
        const result = await work(batch)
        tell.push(() => resolve(result))
      } catch (error) {
        tell.push(() => refuse(error))
      }
    }
    if (!this.#world.rules.waitsForDisk) for (const told of tell.splice(0)) told()
    const done = () => {
      if (batch.effects > 0) this.#store(batch)
      for (const told of tell) told()
      this.#busy = this.#waiting.length > 0
      if (this.#busy) this.#later(0, life, () => this.#flush())
    }
    this.#later(batch.effects === 0 ? 0 : this.#world.random() * DISK_MAX_MS, life, done)
  }

  /** As Writer: the disk first, then memory, then all that look. */
  #store(batch: Batch): void {
    const { records, versions, evidence } = this.rows
    for (const [key, claims] of batch.sum.changedClaims) {
      for (const before of this.state.claims(key)) {
        records.delete(placeOf(before))
        const mine = before.author === this.name && !claims.some(({ author }) => author === this.name)
        if (mine) this.#floors.set(key, { version: before.version, untilMs: this.clockMs + clockSkewMaxMs })
      }
      for (const claim of claims) records.set(placeOf(claim), claim)
      for (const claim of claims) if (!this.state.claims(key).includes(claim)) this.#refuseBack(claim)
    }
    for (const { events } of batch.groups) {
      for (const { kv } of events) versions.set(positionOf(kv), { framed: kv.framed, sub: kv.sub })
    }
    for (const proof of batch.sum.evidence) evidence.set(`${placeOf(proof)} ${proof.hash}`, proof)
    this.rows.revision = batch.revision
    for (const [key, claims] of batch.sum.changedClaims) this.state.replace(key, claims)
    for (const group of batch.groups) this.history.apply(group.events, group.revision)
    for (const record of batch.sum.own) this.#world.gossip(this, record.envelope)
    const changed = batch.groups.flatMap(({ events }) => events.map(({ kv }) => kv.key))
    if (!changed.some((key) => key.startsWith('/members/'))) return
    this.#roster = undefined
    this.#upkeep.rearrange()
  }

  /** What is over stays so, unless who deleted it has written the key again. */
  #refuseBack(claim: SealedRecord): void {
    const tombstones = this.#forgotten.get(claim)
    if (tombstones === undefined || !tombstones.every((tombstone) => this.#world.isLatest(tombstone))) return
    this.#world.fail(new AssertionError({ message: `${this.name} takes ${placeOf(claim)} back` }))
  }

  async #judge(envelope: Uint8Array): Promise<Verdict> {
    const { sealed, rules } = this.#world
    const opened = sealed.get(envelope)
    if (opened === undefined) return reject('BAD_ENVELOPE', 'It does not open')
    const { record, signer } = opened
    if (rules.checksSigner && signer !== record.author) return reject('AUTHOR_MISMATCH', signer)
    const bench = { federation: FEDERATION, held: this.state, policy: this.policy }
    return (await rules.examine(record, bench, this.clockMs)) ?? { action: 'accept', record }
  }

  #seal(
    claims: readonly SealedRecord[],
    key: string,
    value: Uint8Array | null,
    lifeMs?: number,
  ): SealedRecord {
    const [author, time] = [this.name, this.clockMs]
    const own = claims.find((claim) => claim.author === author && claim.value !== null)
    const reach = value === null ? versionCountedMax : versionFollowedMax
    const followed = claims.filter((claim) => claim.author === author || claim.version <= reach)
    const floor = this.#floors.get(key)
    const least = floor === undefined || floor.untilMs <= time ? 0 : floor.version
    const version = Math.max(least, ...followed.map((claim) => claim.version)) + 1
    const live = followed.filter((claim) => claim.value !== null)
    const after = Math.max(time, ...live.map((claim) => claim.since + 1))
    const since = own?.since ?? Math.min(after, time + clockSkewMaxMs)
    const expires = lifeMs === undefined || value === null ? undefined : time + lifeMs
    return this.#world.seal({ key, author, value, version, time, since, expires })
  }

  #members(): Map<string, { role: Role; since: number }> {
    if (this.#roster !== undefined) return this.#roster
    const roster = new Map<string, { role: Role; since: number }>()
    const prefix = '/members/'
    for (const key of this.state.keys()) {
      const record = key.startsWith(prefix) ? shownOf(this.state.claims(key)) : undefined
      const role = record?.value?.[0] === ROLES.operator ? 'operator' : 'member'
      if (record !== undefined) roster.set(key.slice(prefix.length), { role, since: record.since })
    }
    roster.set(this.#world.founder, { role: 'operator', since: this.#world.startMs - 1 })
    this.#roster = roster
    return roster
  }

  #newPolicy(): Policy {
    const roster: Roster = {
      role: (peer) => this.#members().get(peer)?.role,
      admittedMs: (peer) => this.#members().get(peer)?.since,
    }
    const policy = new FederationPolicy()
    policy.use(roster)
    policy.prove('/truth/', {
      refuse: async ({ value }) => (value?.[0] === PROVEN ? undefined : 'It proves nothing'),
      compare: (a, b) => Buffer.compare(a, b),
    })
    const { rules } = this.#world
    const isTruth = (claims: readonly SealedRecord[]) => claims[0]?.key.startsWith('/truth/') === true
    return {
      admit: (record) => policy.admit(record),
      arrange: (claims) => (isTruth(claims) ? policy.arrange(claims) : rules.arrange(claims, roster)),
      kindOf: policy.kindOf,
      lifeMs: (key) => policy.lifeMs(key),
    }
  }

  #newUpkeep(): Upkeep {
    const { state, history, policy } = this
    const writer = { run: <T>(work: Work<T>) => this.run(work), compact: async () => undefined }
    const clock = { now: () => this.clockMs }
    return new Upkeep({ state, history, writer, policy, clock, log: silentLogger, historyMs: 0 })
  }

  /** Nothing that was on its way when the node crashed happens after it. */
  #later(ms: number, life: number, run: () => unknown): void {
    this.#world.at(this.#world.now + ms, () => (life === this.#life ? run() : NOTHING_BEGUN))
  }
}

/** As the store sorts versions. */
function positionOf({ modified, sub }: KeyValue): string {
  return `${String(modified).padStart(8, '0')}.${String(sub).padStart(5, '0')}`
}
