import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { admissionsWaitingMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { nameSchema } from '../base/names.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import { Collection } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import type { Genesis } from './genesis.ts'
import { ROLES, type Role, type Roster } from './keyspace.ts'

/** `/members/<peer>`: an operator's word that the peer belongs to the federation. */
export const memberSchema = z.strictObject({
  name: nameSchema,
  role: z.enum(ROLES),
  /** Set when an operator has ended the membership: the record stays, so that everybody knows it and since when. */
  removed: z.strictObject({ reason: z.string().max(500).default('') }).optional(),
})
export type MemberRecord = z.infer<typeof memberSchema>

export interface Member {
  /** Peer id. */
  readonly peer: string
  /** Unique in the federation; branches and reports carry it. */
  readonly name: string
  readonly role: Role
  /** When it was admitted, ms since the epoch. */
  readonly since: number
}

export interface MembersParts {
  readonly registry: Pick<Registry, 'get' | 'list' | 'put' | 'delete' | 'watch' | 'knows'>
  readonly genesis: Genesis
  readonly self: string
  readonly log: Logger
}

/** Who belongs to the federation: the founder by the genesis, everybody else by an operator's record. */
export class Members implements Roster {
  readonly #collection: Collection<MemberRecord>
  readonly #parts: MembersParts
  readonly #admissions = new SerialQueue(admissionsWaitingMax)
  #cache: Map<string, Member> | undefined

  constructor(parts: MembersParts) {
    this.#parts = parts
    const { registry, log } = parts
    this.#collection = new Collection({ registry, prefix: '/members/', schema: memberSchema, log })
    this.#collection.watch(() => {
      this.#cache = undefined
    })
  }

  /** Sorted by name. */
  list(): Member[] {
    return [...this.#all().values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  get(peer: string): Member | undefined {
    return this.#all().get(peer)
  }

  byName(name: string): Member | undefined {
    return this.list().find((member) => member.name === name)
  }

  /** @throws NodeError NOT_A_MEMBER before this node's own admission has arrived. */
  self(): Member {
    const self = this.get(this.#parts.self)
    if (self === undefined) throw new NodeError('NOT_A_MEMBER', 'This node is not admitted to the federation')
    return self
  }

  isMember(peer: string): boolean {
    return this.#all().has(peer)
  }

  role(peer: string): Role | undefined {
    return this.get(peer)?.role
  }

  admittedMs(peer: string): number | undefined {
    return this.get(peer)?.since
  }

  /**
   * Admits a peer, as an operator. A name that is taken gets the first free number behind it.
   *
   * @throws NodeError FORBIDDEN when this node is no operator.
   */
  admit(peer: string, wantedName: string, role: Role): Promise<Member> {
    // One after another: of two newcomers with one name the second must see the first.
    return this.#admissions.run(() => this.#admit(peer, wantedName, role))
  }

  /** True for a peer that was a member once and is none now. */
  wasRemoved(peer: string): boolean {
    return this.#parts.registry.knows(`/members/${peer}`) && !this.isMember(peer)
  }

  /**
   * Ends a membership, as an operator. The record stays and says so, so that everybody knows who it was and since when.
   *
   * @throws NodeError MEMBER_NOT_FOUND, and what the registry refuses (NOT_OPERATOR for a node that is none).
   */
  async remove(peer: string, reason = ''): Promise<void> {
    const item = this.#collection.get(peer)
    if (item === undefined || !this.isMember(peer)) {
      throw new NodeError('MEMBER_NOT_FOUND', `No member of the federation has the peer id ${peer}`, { peer })
    }
    await this.#collection.put(peer, { ...item.value, removed: { reason } })
  }

  async #admit(peer: string, wantedName: string, role: Role): Promise<Member> {
    const known = this.get(peer)
    if (known !== undefined) return known
    const name = freeName(wantedName, new Set(this.list().map((member) => member.name)))
    await this.#collection.put(peer, { name, role })
    return this.get(peer) as Member
  }

  /** Hears of every change among the members, after it is in force. */
  onChange(changed: () => void): () => void {
    return this.#collection.watch(() => changed())
  }

  #all(): Map<string, Member> {
    if (this.#cache !== undefined) return this.#cache
    const { founder, createdMs } = this.#parts.genesis
    const admitted = this.#collection
      .list()
      .filter(({ name: peer, value }) => peer !== founder.peer && value.removed === undefined)
      .map(({ name: peer, value: { name, role }, entry }) => ({ peer, name, role, since: entry.sinceMs }))
      .sort((a, b) => a.since - b.since || (a.peer < b.peer ? -1 : 1))
    const members = new Map<string, Member>()
    const names = new Set<string>()
    // Two operators may have given one name at the same moment: every node tells the two apart in the same way.
    for (const member of [{ ...founder, role: 'operator' as const, since: createdMs }, ...admitted]) {
      const name = freeName(member.name, names)
      names.add(name)
      members.set(member.peer, { ...member, name })
    }
    this.#cache = members
    return members
  }
}

/**
 * `wanted`, or `wanted-2`, `wanted-3`, … when it cannot be told from a name that is taken. Branches are called
 * `<step>-<name>`, so a name must not end in another's either: `check-bob` would own what the step `quality-check` of
 * `bob` makes. Pure.
 */
export function freeName(wanted: string, taken: ReadonlySet<string>): string {
  const clashes = (name: string) =>
    [...taken].some((other) => other === name || other.endsWith(`-${name}`) || name.endsWith(`-${other}`))
  if (!clashes(wanted)) return wanted
  for (let number = 2; ; number += 1) {
    const name = `${wanted.slice(0, 56)}-${number}`
    if (!clashes(name)) return name
  }
}
