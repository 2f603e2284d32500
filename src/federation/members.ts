import type { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { NodeError } from '../base/errors.ts'
import { admissionsWaitingMax, timerMaxMs } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import { Collection, decodeJson } from '../registry/collection.ts'
import type { SealedRecord } from '../registry/record.ts'
import type { Registry } from '../registry/registry.ts'
import type { Entry } from '../registry/watchers.ts'
import { answersTaker, type Claimed, countedWords, takesOperator } from './contests.ts'
import type { Genesis } from './genesis.ts'
import { losesRights, type Role, type Roster } from './keyspace.ts'
import {
  type FormerMember,
  freeName,
  keepsAnOperator,
  type Member,
  type MemberRecord,
  memberSchema,
  type Standing,
  standingOf,
} from './standing.ts'
import {
  presentOf,
  SUCCESSIONS,
  type Successions,
  succeeded,
  successionSchema,
  withFormerKeys,
} from './successions.ts'

export type { FormerMember, Member } from './standing.ts'

export interface MembersParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'claims' | 'put' | 'delete' | 'watch' | 'knows'>
  readonly genesis: Genesis
  readonly self: string
  readonly clock: Clock
  readonly log: Logger
  /** Which key operators say follows a peer's; undefined where none of them said so (departures.ts). */
  readonly successorNamed?: (peer: string) => string | undefined
}

/** What is done before a peer loses a role: `to` is what it will be, undefined for one that leaves. */
export type BeforeLoss = (peer: string, to: Role | undefined) => Promise<void>

/** Who belongs to the federation: the founders by the genesis, everybody else by an operator's record. */
export class Members implements Roster {
  readonly #collection: Collection<MemberRecord>
  readonly #successions: Collection<z.infer<typeof successionSchema>>
  readonly #parts: MembersParts
  readonly #changes = new SerialQueue(admissionsWaitingMax)
  readonly #listeners = new Set<() => void>()
  readonly #beforeLoss = new Set<BeforeLoss>()
  #standing: Standing | undefined
  #followed: Successions | undefined
  #answered: string | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(parts: MembersParts) {
    this.#parts = parts
    const { registry, log } = parts
    this.#collection = new Collection({ registry, prefix: '/members/', schema: memberSchema, log })
    this.#collection.watch(() => this.#changed())
    this.#successions = new Collection({ registry, prefix: SUCCESSIONS, schema: successionSchema, log })
    this.#successions.watch(() => this.#changed())
  }

  /** Sorted by name. */
  list(): Member[] {
    return [...this.#now().members.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  get(peer: string): Member | undefined {
    return this.#now().members.get(peer)
  }

  byName(name: string): Member | undefined {
    return this.list().find((member) => member.name === name)
  }

  /** @throws NodeError NOT_A_MEMBER before this node's own admission has arrived, MEMBERSHIP_ENDED after its end. */
  self(): Member {
    const { self } = this.#parts
    const member = this.get(self)
    if (member !== undefined) return member
    const former = this.former(self)
    if (former !== undefined) throw membershipEnded(former)
    throw new NodeError('NOT_A_MEMBER', 'This node is not admitted to the federation')
  }

  isMember(peer: string): boolean {
    return this.#now().members.has(peer)
  }

  role(peer: string): Role | undefined {
    return this.get(peer)?.role
  }

  admittedMs(peer: string): number | undefined {
    return this.get(peer)?.since
  }

  /** The key that stands for a peer now: the peer itself, unless its node has changed its key. */
  presentOf(peer: string): string {
    return presentOf(peer, this.#following())
  }

  /** Sorted by name. */
  operators(): Member[] {
    return this.list().filter(({ role }) => role === 'operator')
  }

  /** How a peer's membership ended; undefined for members and for strangers. */
  former(peer: string): FormerMember | undefined {
    return this.#now().former.get(peer)
  }

  /** Memberships that are over, the latest first. */
  formerList(): FormerMember[] {
    return [...this.#now().former.values()].sort((a, b) => b.endedMs - a.endedMs)
  }

  /** True for a peer that was a member once and is none now. */
  wasRemoved(peer: string): boolean {
    return !this.isMember(peer) && this.#parts.registry.knows(`/members/${peer}`)
  }

  /**
   * Admits a peer, as an operator. A name that is taken gets the first free number behind it; the names of former members
   * stay theirs, since branches and reports carry them. Whoever is a member already stays what it is.
   *
   * @param options.until when the membership ends by itself, ms since the epoch.
   * @throws NodeError NOT_OPERATOR when this node is none, INVALID_INPUT for an end that has passed.
   */
  admit(peer: string, wantedName: string, role: Role, options: { until?: number } = {}): Promise<Member> {
    // One after another: of two newcomers with one name the second must see the first.
    return this.#changes.run(async () => {
      const known = this.get(peer)
      if (known !== undefined) return known
      const successor = this.former(peer)?.successor
      if (successor !== undefined) {
        const message = `${peer} was replaced by ${successor}; whoever still has the old key is not admitted with it`
        throw new NodeError('FORBIDDEN', message, { peer, successor })
      }
      this.refuseOthers('admit')
      const { until } = options
      this.#refusePast(until)
      const others = [...this.list(), ...this.formerList()].filter((one) => one.peer !== peer)
      const name = freeName(wantedName, new Set(others.map((one) => one.name)))
      // Who was here before has a record that is older than this admission.
      const isFirst = !this.#parts.registry.knows(`/members/${peer}`)
      const since = isFirst ? {} : { since: this.#parts.clock.now() }
      await this.#collection.put(peer, { name, role, ...since, ...(until === undefined ? {} : { until }) })
      return this.get(peer) as Member
    })
  }

  /**
   * Changes what a member may do, or when its membership ends (null: by itself never), as an operator.
   *
   * @throws NodeError NOT_OPERATOR, MEMBER_NOT_FOUND, CONFLICT for the last operator, INVALID_INPUT for an end that has
   * passed, and what the registry refuses.
   */
  setRole(peer: string, role: Role, options: { until?: number | null } = {}): Promise<Member> {
    return this.#changes.run(async () => {
      this.refuseOthers('change roles')
      const member = this.#known(peer)
      const { name, since, role: was, until: old } = member
      const until = options.until === undefined ? old : (options.until ?? undefined)
      if (until !== old) this.#refusePast(until)
      if (role !== 'operator' || until !== undefined) this.#refuseLast(peer)
      if (losesRights(was, role)) await this.#prepare(peer, role)
      const isBack = was === 'observer' && role !== 'observer'
      const worksSince = isBack ? this.#parts.clock.now() : member.worksSince
      await this.#collection.put(peer, {
        ...{ name, role, since },
        ...(was === 'operator' && role !== 'operator' ? { was } : {}),
        ...(worksSince === undefined ? {} : { worksSince }),
        ...(until === undefined ? {} : { until }),
      })
      return this.get(peer) as Member
    })
  }

  /**
   * Ends a membership, as an operator. The record stays and says so, so that everybody knows who it was and since when.
   *
   * @throws NodeError NOT_OPERATOR, MEMBER_NOT_FOUND, CONFLICT for the last operator, and what the registry refuses.
   */
  remove(peer: string, reason = ''): Promise<void> {
    return this.#changes.run(async () => {
      this.refuseOthers('remove members')
      const { name, role, since } = this.#known(peer)
      this.#refuseLast(peer)
      await this.#prepare(peer, undefined)
      await this.#collection.put(peer, { name, role, since, removed: { reason } })
    })
  }

  /**
   * Says once more that this node is an operator, where it is one although another's word says otherwise [T2], so that
   * what counts is what is shown. To be called by and by; it writes once about each such word.
   */
  async standFirm(): Promise<void> {
    const { registry, self } = this.#parts
    const shown = registry.get(`/members/${self}`)
    const value = shown && memberSchema.safeParse(decodeJson(shown.value)).data
    if (shown === undefined || value === undefined || !takesOperator(value)) return
    const word = `${shown.author} ${shown.version}`
    if (this.role(self) !== 'operator' || this.#answered === word) return
    this.#answered = word
    const { name, since, until } = this.self()
    const end = until === undefined ? {} : { until }
    await this.#changes.run(() => this.#collection.put(self, { name, role: 'operator', since, ...end }))
  }

  /** [T3] Whether a record is the answer of one whose place as an operator was taken away to the one who took it. */
  answers({ key, author, value }: Pick<SealedRecord, 'key' | 'author' | 'value'>): boolean {
    if (value === null || !key.startsWith('/members/')) return false
    const word = memberSchema.safeParse(decodeJson(value)).data
    return word !== undefined && answersTaker({ key, author }, word, this.#claims)
  }

  /** Has `before` done before any record of ours takes a role away from a peer; when it fails, nothing is taken. */
  beforeLoss(before: BeforeLoss): () => void {
    this.#beforeLoss.add(before)
    return () => this.#beforeLoss.delete(before)
  }

  /** Hears of every change among the members, after it is in force, and of each end of a membership by time. */
  onChange(changed: () => void): () => void {
    this.#listeners.add(changed)
    this.#awaitEnd()
    return () => {
      this.#listeners.delete(changed)
      if (this.#listeners.size === 0) clearTimeout(this.#timer)
    }
  }

  /** @throws NodeError NOT_OPERATOR when this node is none. */
  refuseOthers(doing: string): void {
    if (this.self().role === 'operator') return
    const operators = this.operators()
      .map(({ name }) => name)
      .join(', ')
    throw new NodeError('NOT_OPERATOR', `Only operators ${doing}; ask ${operators}`, { operators })
  }

  #now(): Standing {
    const nowMs = this.#parts.clock.now()
    if (this.#standing !== undefined && nowMs < this.#standing.nextEndMs) return this.#standing
    // Whoever reads may see an end before the timer does, which is then set for the next one: the listeners hear of it here.
    if (this.#standing !== undefined) queueMicrotask(() => this.#tell())
    const { genesis } = this.#parts
    const shown = this.#collection.list().map(({ name, value, entry }) => claimedOf(name, value, entry))
    const words = countedWords(genesis, shown, this.#claims)
    const successions = this.#following()
    const now = succeeded(genesis, words, successions)
    const standing = standingOf({ ...genesis, founders: now.founders }, now.words, nowMs)
    this.#standing = withFormerKeys(standing, successions)
    this.#awaitEnd()
    return this.#standing
  }

  readonly #claims = (peer: string): Claimed[] =>
    this.#parts.registry.claims(`/members/${peer}`).flatMap((entry) => {
      const value = memberSchema.safeParse(decodeJson(entry.value)).data
      return value === undefined || entry.buried ? [] : [claimedOf(peer, value, entry)]
    })

  #following(): Successions {
    this.#followed ??= this.#readSuccessions()
    return this.#followed
  }

  #readSuccessions(): Successions {
    const named = this.#parts.successorNamed
    const held = this.#successions.list().map(({ name, value }) => [name, value.successor] as const)
    return new Map(held.filter(([old, successor]) => (named?.(old) ?? successor) === successor))
  }

  /** The key that a peer's own succession names, whatever has become of that one since; undefined without a succession. */
  successorOf(peer: string): string | undefined {
    return this.#following().get(peer)
  }

  /** Keys whose succession that is held names another key than operators do. */
  disowned(): string[] {
    const followed = this.#following()
    return this.#successions.list().flatMap(({ name }) => (followed.has(name) ? [] : [name]))
  }

  /** To be called when operators may have named other successors than before. */
  lookAgain(): void {
    if (this.#followed === undefined) return
    const before = this.#followed
    const now = this.#readSuccessions()
    if (now.size === before.size && [...now].every(([old, next]) => before.get(old) === next)) return
    this.#changed()
  }

  #changed(): void {
    this.#standing = undefined
    this.#followed = undefined
    this.#tell()
    if (this.#listeners.size > 0) this.#now()
  }

  #tell(): void {
    for (const changed of this.#listeners) changed()
  }

  /**
   * One timer for the next end, while anybody listens. It waits for the standing as it was last read: reading it here
   * would take the registry at its word before it has been started.
   */
  #awaitEnd(): void {
    clearTimeout(this.#timer)
    const nextEndMs = this.#standing?.nextEndMs ?? Infinity
    if (this.#listeners.size === 0 || nextEndMs === Infinity) return
    // A longer wait than timers can count goes in several.
    const waitMs = Math.max(1, Math.min(nextEndMs - this.#parts.clock.now(), timerMaxMs))
    this.#timer = setTimeout(() => {
      if (this.#parts.clock.now() >= nextEndMs) this.#changed()
      else this.#awaitEnd()
    }, waitMs)
    this.#timer.unref()
  }

  #known(peer: string): Member {
    const member = this.get(peer)
    if (member !== undefined) return member
    throw new NodeError('MEMBER_NOT_FOUND', `No member of the federation has the peer id ${peer}`, { peer })
  }

  #refuseLast(peer: string): void {
    if (this.role(peer) !== 'operator' || keepsAnOperator(this.list(), peer)) return
    const message = `${this.get(peer)?.name} is the last operator whose role has no end; make another member an operator first: "maoctl federation role MEMBER operator"`
    throw new NodeError('CONFLICT', message, { peer })
  }

  #refusePast(until: number | undefined): void {
    if (until === undefined || until > this.#parts.clock.now()) return
    throw new NodeError(
      'INVALID_INPUT',
      `A membership cannot end at ${new Date(until).toISOString()}, which has passed`,
    )
  }

  /** What somebody gives up itself is listed by others: its own word on its records would count no more [D4]. */
  async #prepare(peer: string, to: Role | undefined): Promise<void> {
    if (peer === this.#parts.self) return
    for (const before of this.#beforeLoss) await before(peer, to)
  }
}

function claimedOf(peer: string, value: MemberRecord, { author, sinceMs, timeMs }: Entry): Claimed {
  return { peer, author, value, sinceMs, timeMs }
}

/** What a node whose membership is over answers to whatever needs one. */
export function membershipEnded({ reason, endedMs }: FormerMember): NodeError {
  const because = reason === '' ? '' : ` (${reason})`
  const message = `The membership of this node ended on ${new Date(endedMs).toISOString()}${because}; what it holds stays here. "maoctl federation leave" makes it free to join again, here or elsewhere`
  return new NodeError('MEMBERSHIP_ENDED', message, { reason, endedMs })
}
