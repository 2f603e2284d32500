/**
 * Who may write which key, and whose claim to a contested name is shown: one table and two pure functions
 * (protocols/keyspace.md).
 */
import { claimLifeMaxMs, rawLifeMs, versionCountedMax } from '../base/limits.ts'
import { auditRecordsLifeMs } from '../base/limits-audit.ts'
import { requestLifeMaxMs } from '../base/limits-membership.ts'
import { compare } from '../registry/order.ts'
import { isKey, type SealedRecord } from '../registry/record.ts'
import type { KeyKind } from '../registry/transaction.ts'
import { ignore, type Refusal, reject } from '../registry/verdict.ts'

/**
 * What a member may do: operators admit and remove members, members write and vote, observers read.
 */
export const ROLES = ['operator', 'member', 'observer'] as const
export type Role = (typeof ROLES)[number]

/** What the table looks at: the members as this node knows them. */
export interface Roster {
  role(peer: string): Role | undefined
  /** When the peer was admitted, ms; undefined for a stranger. */
  admittedMs(peer: string): number | undefined
  /** The key that stands for a peer now, where its node has changed it; without it, the peer itself. */
  presentOf?(peer: string): string
  /** Whether the peer was a member once and is none now. */
  isFormer?(peer: string): boolean
  /** Whether an operator listed the record among those that stay when their author lost its place (departures.ts). */
  stays?(hash: string): boolean
  /** Whether all that stays of the peer is listed, as of its present place. */
  isListed?(peer: string): boolean
  /** Whether the record answers who took its author's place as an operator away (contests.ts). */
  answers?(record: Pick<SealedRecord, 'key' | 'author' | 'value'>): boolean
}

/**
 * - `own`: the last segment is the author's peer id [K4];
 * - `operators`: the record of the operator that orders last [K5] [K9];
 * - `claims`: any member; one claim is shown, see `arrange` [K6];
 * - `proven`: any member may bring it, the value proves itself (a certificate); the one that orders last is shown [K7].
 */
export type Writers = 'own' | 'operators' | 'claims' | 'proven'

interface Rule {
  readonly prefix: string
  /** How many segments follow the prefix: so many, or from so many to so many. */
  readonly segments: number | readonly [least: number, most: number]
  readonly writers: Writers
  /** Of which roles its author must be; who works in the federation, without a word. */
  readonly by?: readonly Role[]
  /** Says how its author is just now, and goes with it [K19]. */
  readonly passing?: true
  /** [K21] Clients write it through commands of its own, never by its key. */
  readonly roomsOwn?: true
  /** How long a record may live; its author says when it ends. */
  readonly lifeMs?: number
}

/** Below prefixes that are for anything. */
const FREE_SEGMENTS_MAX = 16

const WORKING: readonly Role[] = ['operator', 'member']
const OPERATORS: readonly Role[] = ['operator']

const KEYSPACE: readonly Rule[] = [
  { prefix: '/members/', segments: 1, writers: 'operators', by: OPERATORS },
  { prefix: '/departures/', segments: 3, writers: 'own', by: OPERATORS, roomsOwn: true },
  { prefix: '/successions/', segments: 1, writers: 'own', by: ROLES, roomsOwn: true },
  { prefix: '/endorsements/', segments: 1, writers: 'own', by: OPERATORS, roomsOwn: true },
  { prefix: '/requests/', segments: 1, writers: 'claims', lifeMs: requestLifeMaxMs },
  { prefix: '/presence/', segments: 1, writers: 'own', by: ROLES, passing: true },
  { prefix: '/tools/', segments: 1, writers: 'claims' },
  { prefix: '/pipelines/', segments: 1, writers: 'claims' },
  { prefix: '/dataset/', segments: 1, writers: 'claims' },
  { prefix: '/grants/', segments: 3, writers: 'own' },
  { prefix: '/schedules/', segments: 1, writers: 'claims' },
  { prefix: '/claims/', segments: 3, writers: 'own', lifeMs: claimLifeMaxMs, passing: true },
  { prefix: '/heads/', segments: 2, writers: 'own' },
  { prefix: '/replicas/', segments: 2, writers: 'own', by: ROLES, passing: true },
  { prefix: '/insights/', segments: 2, writers: 'own' },
  { prefix: '/notifications/', segments: 2, writers: 'own' },
  { prefix: '/rounds/', segments: 4, writers: 'claims', roomsOwn: true },
  { prefix: '/ballots/', segments: 4, writers: 'own', roomsOwn: true },
  { prefix: '/votes/', segments: 4, writers: 'own', roomsOwn: true },
  { prefix: '/confirmations/', segments: 4, writers: 'own', roomsOwn: true },
  { prefix: '/prepared/', segments: 4, writers: 'own', roomsOwn: true },
  { prefix: '/truth/', segments: 1, writers: 'proven', roomsOwn: true },
  { prefix: '/audit/', segments: [3, 4], writers: 'own', lifeMs: auditRecordsLifeMs, roomsOwn: true },
  { prefix: '/offers/', segments: 1, writers: 'own', passing: true },
  { prefix: '/raw/', segments: [1, FREE_SEGMENTS_MAX], writers: 'claims', lifeMs: rawLifeMs, passing: true },
  { prefix: '/shared/', segments: [1, FREE_SEGMENTS_MAX], writers: 'claims' },
]

/** What every shared key begins with, sorted. */
export const PREFIXES: readonly string[] = KEYSPACE.map(({ prefix }) => prefix).sort()

/** The rule of a key, or undefined when the federation shares no such key. */
export function ruleOf(key: string): Rule | undefined {
  return KEYSPACE.find((rule) => {
    if (!key.startsWith(rule.prefix) || !isKey(key)) return false
    const count = key.slice(rule.prefix.length).split('/').length
    const [least, most] = typeof rule.segments === 'number' ? [rule.segments, rule.segments] : rule.segments
    return count >= least && count <= most
  })
}

/** [K1] Where a key is at home: below a shared prefix, only keys that the table knows. */
export function kindOf(key: string): KeyKind {
  if (!PREFIXES.some((prefix) => key.startsWith(prefix))) return 'local'
  return ruleOf(key) === undefined ? 'reserved' : 'shared'
}

/** [K21] Whether a client has no business at the key, whatever its token lets it do. */
export function isRoomsOwn(key: string): boolean {
  return ruleOf(key)?.roomsOwn === true
}

/** [K9] Whether of several claims to the key the one that was written last is shown. */
export function isLastWord(key: string): boolean {
  return ruleOf(key)?.writers === 'operators'
}

type Admitted = Pick<SealedRecord, 'key' | 'author' | 'value' | 'time' | 'expires' | 'hash'>

/** Whether `record` may be in the registry as far as `roster` knows; a refusal when not. */
export function admit(record: Admitted, roster: Roster): Refusal | undefined {
  const rule = ruleOf(record.key)
  // [IGNORE NOT_ALLOWED] [K2] A later version may share keys that this one does not know.
  if (rule === undefined) return ignore('NOT_ALLOWED', 'The federation shares no such key')
  // [REJECT INVALID_VALUE] [K4] Whoever relays this can see as well as we that it is not the author's to write.
  if (rule.writers === 'own' && !record.key.endsWith(`/${record.author}`)) {
    return reject('INVALID_VALUE', `Only the peer that ${record.key} names may write it`)
  }
  // [REJECT INVALID_VALUE] [K8] As anybody can see, it would live longer than such a key may.
  if (rule.lifeMs !== undefined && record.value !== null && !endsWithin(record, rule.lifeMs)) {
    return reject('INVALID_VALUE', `${record.key} may live ${rule.lifeMs} ms at most`)
  }
  // [K18] What an operator listed stays, whatever has become of its author.
  if (allows(rule, roster.role(record.author)) || isKept(record, roster)) return undefined
  // [IGNORE UNKNOWN_AUTHOR] [K3] We may simply not have seen this author's admission yet.
  if (roster.role(record.author) === undefined && roster.isFormer?.(record.author) !== true)
    return ignore('UNKNOWN_AUTHOR', `${record.author} is no member that this node knows of`)
  // [IGNORE NOT_ALLOWED] [K5] Nor may we have seen that it became an operator, or that the record is to stay.
  return ignore(
    'NOT_ALLOWED',
    `The place of ${record.author} (${roster.role(record.author) ?? 'a former member'}) in the federation does not let it write ${record.key}; an operator can change that: "maoctl federation role MEMBER ROLE", and "maoctl federation members" shows who is one`,
  )
}

/** [K17] Whether `role` may write keys of a rule. */
function allows({ by = WORKING }: Rule, role: Role | undefined): boolean {
  return role !== undefined && by.includes(role)
}

/** [K20] Whether a record that is held has to go: its author may not write it any more, and nobody listed it. */
export function isLeftBehind(record: Kept, roster: Roster): boolean {
  return isUnkept(record, roster) && roster.isListed?.(record.author) === true
}

/** Whether a record that is held would not be taken any more, from whoever brings it. */
export function isUnkept(record: Kept, roster: Roster): boolean {
  const rule = ruleOf(record.key)
  return rule !== undefined && !allows(rule, roster.role(record.author)) && !isKept(record, roster)
}

type Kept = Pick<SealedRecord, 'key' | 'author' | 'hash' | 'value'>

/** [K18] [T3] What stays whatever becomes of its author. */
function isKept(record: Kept, roster: Roster): boolean {
  return roster.stays?.(record.hash) === true || roster.answers?.(record) === true
}

/** Whether `to` may write less than `from`; undefined for who is no member. */
export function losesRights(from: Role | undefined, to: Role | undefined): boolean {
  const rank = (role: Role | undefined) => (role === undefined ? ROLES.length : ROLES.indexOf(role))
  return rank(to) > rank(from)
}

/**
 * [K19] Whether a record stays when its author becomes what `to` says, undefined for one that leaves, or is one that the
 * change does not touch.
 */
export function staysBehind(
  record: Pick<SealedRecord, 'key'>,
  to: Role | undefined,
): 'stays' | 'goes' | 'untouched' {
  const rule = ruleOf(record.key)
  if (rule === undefined || allows(rule, to)) return 'untouched'
  return rule.passing === true ? 'goes' : 'stays'
}

function compareWords(a: SealedRecord, b: SealedRecord): number {
  return b.time - a.time || (a.author === b.author ? 0 : a.author < b.author ? 1 : -1)
}

function endsWithin({ time, expires }: Admitted, lifeMs: number): boolean {
  return expires !== undefined && expires <= time + lifeMs
}

/** [K16] The claims to one key in order, the shown one first. The order of `claims` does not matter. */
export function arrange(claims: readonly SealedRecord[], roster: Roster): SealedRecord[] {
  const [first] = claims
  if (first === undefined) return []
  const latestFirst = [...claims].sort((a, b) => compare(b, a))
  const writers = ruleOf(first.key)?.writers
  // [K9] Of operators the last word counts, by its time: a version can be as high as its author likes, a time cannot.
  if (writers === 'operators') return latestFirst.sort(compareWords)
  // Where nobody else may write there is nothing to choose between.
  if (writers !== 'claims') return latestFirst

  const present = (peer: string) => roster.presentOf?.(peer) ?? peer
  const isOperators = ({ author }: SealedRecord) => roster.role(present(author)) === 'operator'
  // [K11] An operator's tombstone buries every claim that the operator can have seen when writing it.
  const buried = Math.max(
    0,
    ...claims.filter((c) => c.value === null && isOperators(c)).map((c) => c.version),
  )
  // [K14] A version that nobody reached by counting would put a claim beyond any operator's reach, but not an operator's.
  const counts = (claim: SealedRecord) => claim.version <= versionCountedMax || isOperators(claim)
  // [U6] A node that has changed its key has one claim: what it wrote last, with either.
  const isLast = (claim: SealedRecord) =>
    latestFirst.find(({ author }) => present(author) === present(claim.author)) === claim
  const counted = (claim: SealedRecord) => claim.version > buried && counts(claim) && isLast(claim)
  const live = latestFirst.filter((claim) => claim.value !== null && counted(claim))
  const dead = latestFirst.filter((claim) => !live.includes(claim))
  // [K12] A tombstone shows "nothing" and so goes before the claims that it buries.
  dead.sort((a, b) => Number(a.value !== null) - Number(b.value !== null))
  const claimedMs = (claim: SealedRecord) => {
    const own = claims.filter(
      ({ author, value }) => value !== null && present(author) === present(claim.author),
    )
    const since = Math.min(...own.map((one) => one.since))
    // A claim cannot be older than its author's admission, whatever the author says.
    return Math.max(since, roster.admittedMs(present(claim.author)) ?? Number.MAX_SAFE_INTEGER)
  }
  // [K13] An operator's claim first, then the earliest, then the lower author id.
  live.sort((a, b) => {
    const first = Number(isOperators(b)) - Number(isOperators(a)) || claimedMs(a) - claimedMs(b)
    return first || (a.author < b.author ? -1 : 1)
  })
  return [...live, ...dead]
}
