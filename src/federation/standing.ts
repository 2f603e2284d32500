/**
 * Who stands where in the federation: the words of operators about members, read at one moment. Pure, so that every
 * node that holds the same words and looks at the same time sees the same members (protocols/keyspace.md §3).
 */
import { z } from 'zod'
import { reasonLengthMax } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import type { Genesis } from './genesis.ts'
import { ROLES, type Role } from './keyspace.ts'

const timeMs = z.int().nonnegative()

/** `/members/<peer>`: an operator's word on where the peer stands in the federation. */
export const memberSchema = z.object({
  name: nameSchema,
  role: z.enum(ROLES),
  /** What it was, where this word made an operator something less: it may answer [T3]. */
  was: z.literal('operator').optional(),
  /** Since when it may write and vote, ms, where it was an observer before; a later word carries it on. */
  worksSince: timeMs.optional(),
  /** When it was admitted, ms; without it, when the record was first written. A later word carries it on. */
  since: timeMs.optional(),
  /** Set when an operator has ended the membership: the record stays, so that everybody knows it and since when. */
  removed: z.object({ reason: z.string().max(reasonLengthMax).default('') }).optional(),
  /** When the membership ends by itself, ms; everybody goes by its own clock. */
  until: timeMs.optional(),
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
  /** Since when it is no observer, ms, where it was one. */
  readonly worksSince?: number
  /** When its membership ends by itself, ms since the epoch. */
  readonly until?: number
}

/** A membership that is over. */
export interface FormerMember {
  readonly peer: string
  readonly name: string
  readonly role: Role
  readonly reason: string
  /** When it ended, ms since the epoch. */
  readonly endedMs: number
  /** Peer id of the key that took its place over, where it was no end but a change of keys. */
  readonly successor?: string
}

/** A member's record and what the registry knows of its writing. */
export interface Word {
  readonly peer: string
  readonly value: MemberRecord
  readonly sinceMs: number
  readonly timeMs: number
}

export interface Standing {
  /** By peer id. */
  readonly members: ReadonlyMap<string, Member>
  readonly former: ReadonlyMap<string, FormerMember>
  /** When the next membership ends by itself, ms; Infinity when none does. */
  readonly nextEndMs: number
}

export function standingOf(
  genesis: Pick<Genesis, 'founders' | 'createdMs'>,
  words: readonly Word[],
  nowMs: number,
): Standing {
  const { founders, createdMs } = genesis
  const spokenOf = new Set(words.map(({ peer }) => peer))
  const isFounder = (peer: string) => founders.some((founder) => founder.peer === peer)
  // The genesis says who is an operator only while no record says otherwise.
  const standing: Member[] = founders
    .filter(({ peer }) => !spokenOf.has(peer))
    .map((founder) => ({ ...founder, role: 'operator', since: createdMs }))
  const former = new Map<string, FormerMember>()
  for (const word of words) {
    const member = memberOf(word, isFounder(word.peer) ? createdMs : word.sinceMs)
    const endedMs = endOf(word, nowMs)
    if (endedMs === undefined) standing.push(member)
    else former.set(word.peer, formerOf(member, word.value.removed?.reason ?? 'its time was over', endedMs))
  }
  // Operators may end each other's time at the same moment; a federation without one would be stuck for ever.
  if (!standing.some(({ role }) => role === 'operator')) {
    const heir = founders.find(({ peer }) => !former.has(peer)) ?? founders[0]
    if (heir !== undefined) {
      const at = standing.findIndex(({ peer }) => peer === heir.peer)
      const known = at === -1 ? { ...heir, since: createdMs } : (standing.splice(at, 1)[0] as Member)
      standing.push({ ...known, role: 'operator' })
      former.delete(heir.peer)
    }
  }
  const nextEndMs = Math.min(
    Infinity,
    ...standing.map(({ until }) => until ?? Infinity).filter((at) => at > nowMs),
  )
  return { members: withNames(standing), former, nextEndMs }
}

/**
 * Whether the federation keeps an operator when `peer` is one no longer. One whose time is to end does not count: the
 * federation would be without in the end. Pure.
 */
export function keepsAnOperator(members: Iterable<Member>, peer: string): boolean {
  for (const member of members) {
    if (member.peer !== peer && member.role === 'operator' && member.until === undefined) return true
  }
  return false
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

function memberOf({ peer, value }: Word, firstMs: number): Member {
  const { name, role, since = firstMs, worksSince, until } = value
  return {
    ...{ peer, name, role, since },
    ...(worksSince === undefined ? {} : { worksSince }),
    ...(until === undefined ? {} : { until }),
  }
}

function formerOf({ peer, name, role }: Member, reason: string, endedMs: number): FormerMember {
  return { peer, name, role, reason, endedMs }
}

function endOf({ value, timeMs }: Word, nowMs: number): number | undefined {
  if (value.removed !== undefined) return timeMs
  return value.until !== undefined && value.until <= nowMs ? value.until : undefined
}

/** Two operators may have given one name at the same moment: every node tells the two apart in the same way. */
function withNames(standing: Member[]): Map<string, Member> {
  const members = new Map<string, Member>()
  const names = new Set<string>()
  for (const member of standing.sort((a, b) => a.since - b.since || (a.peer < b.peer ? -1 : 1))) {
    const name = freeName(member.name, names)
    names.add(name)
    members.set(member.peer, { ...member, name })
  }
  return members
}
