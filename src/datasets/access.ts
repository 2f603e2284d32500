/**
 * Who may have a dataset and who votes on it (protocols/dataset-heads.md §8). A dataset's record says whether every
 * member may or only those with a grant; grants are records of its founder and of operators. Everything here is pure and
 * looks at the registry and the time alone, so that all members come to the same electorates.
 */
import { z } from 'zod'
import { grantSpansMax, voteChangesMax } from '../base/limits.ts'
import type { Role } from '../federation/keyspace.ts'
import { datasetIdSchema } from './dataset-id.ts'

const timeMs = z.int().nonnegative()

/** `members`: every member; `granted`: the founder, and who has a grant. */
export const AUDIENCES = ['members', 'granted'] as const
export type Audience = (typeof AUDIENCES)[number]

/** In a dataset's record; without it every member may both. */
export const accessSchema = z.object({
  read: z.enum(AUDIENCES),
  vote: z.enum(AUDIENCES),
  /** When `vote` was last changed, ms: rounds that were opened before are judged by what held then. */
  voteSince: timeMs,
  /** When it was changed before that, ms, oldest first: newcomers judge the certificates of each of these times. */
  voteBefore: z.array(timeMs).max(voteChangesMax).optional(),
})
export type Access = z.infer<typeof accessSchema>

/** `/grants/<dataset>/<peer>/<author>`: what the author, founder or operator, grants the peer. */
export const grantSchema = z.object({
  /** Id of the dataset: a grant says nothing of another one that gets its name later. */
  dataset: datasetIdSchema,
  read: z.boolean(),
  vote: z.boolean(),
  /** From when on it holds, ms. */
  since: timeMs,
  /** Until when; a grant that is revoked ends then. */
  until: timeMs.optional(),
  /** From when until when the peer was granted to vote before `since`, oldest first. */
  voted: z
    .array(z.tuple([timeMs, timeMs]))
    .max(grantSpansMax)
    .optional(),
})
export type GrantRecord = z.infer<typeof grantSchema>

export interface Grant extends GrantRecord {
  readonly peer: string
  /** Who wrote it, and when, ms. */
  readonly author: string
  readonly timeMs: number
}

/** What decides about a dataset, as the registry shows it. */
export interface AccessFacts {
  readonly id: string
  readonly founder: string
  readonly access: Access | undefined
  /** What its founder and operators wrote last of each peer. */
  readonly grants: ReadonlyMap<string, Grant>
  /** [A6] Several datasets claim the name, and no operator has said whose it is. */
  readonly isDisputed: boolean
}

/** A member, as far as electorates are concerned. */
export interface Electable {
  readonly peer: string
  readonly role: Role
  /** Admitted then, ms. */
  readonly since: number
  /** Since when it is no observer, ms, where it was one. */
  readonly worksSince?: number
}

/** When somebody may vote: from the first until just before the second, ms. */
export type Span = readonly [fromMs: number, untilMs: number]

/** Of several grants to one peer the one that was written last; of two at once that of the lower author id. */
export function latestGrants(grants: readonly Grant[]): Map<string, Grant> {
  const latest = new Map<string, Grant>()
  for (const grant of grants) {
    const known = latest.get(grant.peer)
    const isLater =
      known === undefined ||
      grant.timeMs > known.timeMs ||
      (grant.timeMs === known.timeMs && grant.author < known.author)
    if (isLater) latest.set(grant.peer, grant)
  }
  return latest
}

/** Whether a grant holds at a time. */
export function isInForce({ since, until }: Pick<Grant, 'since' | 'until'>, nowMs: number): boolean {
  return since <= nowMs && (until === undefined || nowMs < until)
}

/** [A2] Whether a member may have a dataset's objects. */
export function mayHave(
  { access, founder, grants }: Pick<AccessFacts, 'access' | 'founder' | 'grants'>,
  peer: string,
  nowMs: number,
): boolean {
  if (access?.read !== 'granted' || peer === founder) return true
  const grant = grants.get(peer)
  return grant?.read === true && isInForce(grant, nowMs)
}

/**
 * [A4] Who votes on a dataset, and when. Observers never do. `spans` is absent for who votes as long as it is a member;
 * what held when a round was opened decides about it, so that its certificate holds when grants have changed since.
 */
export function votersOn(
  facts: Pick<AccessFacts, 'access' | 'founder' | 'grants'> | undefined,
  members: readonly Electable[],
): { peer: string; since: number; spans?: readonly Span[] }[] {
  const working = members
    .filter(({ role }) => role !== 'observer')
    .map(({ peer, since, worksSince = since }) => ({ peer, since: worksSince }))
  if (facts?.access === undefined) return working
  const { access, founder, grants } = facts
  const open = openSpans(access)
  return working.map(({ peer, since }) => {
    if (peer === founder) return { peer, since }
    const grant = grants.get(peer)
    const granted: Span[] = grant?.vote === true ? [[grant.since, grant.until ?? Infinity]] : []
    return { peer, since, spans: [...open, ...(grant?.voted ?? []), ...granted] }
  })
}

/** When every member voted. Each change turned it about, and `vote` is what holds since the last. */
function openSpans({ vote, voteSince, voteBefore = [] }: Access): Span[] {
  const ends = [...voteBefore, voteSince, Infinity]
  const isOpen = (at: number) => (vote === 'members') === ((ends.length - 1 - at) % 2 === 0)
  return ends.flatMap((untilMs, at): Span[] => (isOpen(at) ? [[ends[at - 1] ?? 0, untilMs]] : []))
}

/** What the record says once `vote` is changed now. Pure. */
export function accessOnceVote(
  before: Access | undefined,
  wanted: Pick<Access, 'read' | 'vote'>,
  nowMs: number,
): Access {
  const { vote = 'members', voteSince = 0, voteBefore } = before ?? {}
  if (wanted.vote === vote)
    return { ...wanted, voteSince, ...(voteBefore === undefined ? {} : { voteBefore }) }
  // The beginning of time is no change. Where there are too many, the oldest two go: what holds now stays as it is.
  const all = [...(voteBefore ?? []), ...(voteSince === 0 ? [] : [voteSince])]
  const kept = all.length > voteChangesMax ? all.slice(2) : all
  return { ...wanted, voteSince: nowMs, ...(kept.length === 0 ? {} : { voteBefore: kept }) }
}

/** When the holder of a grant could vote before it gets another one now. Pure. */
export function votedBefore(
  known: Pick<Grant, 'vote' | 'since' | 'until' | 'voted'> | undefined,
  nowMs: number,
): Pick<GrantRecord, 'voted'> {
  if (known === undefined) return {}
  const last: [number, number] = [known.since, Math.min(known.until ?? nowMs, nowMs)]
  const isSpan = known.vote && last[0] < last[1]
  const voted = [...(known.voted ?? []), ...(isSpan ? [last] : [])].slice(-grantSpansMax)
  return voted.length === 0 ? {} : { voted }
}

/** When the next grant begins or ends, ms; Infinity when none does. */
export function nextChangeMs(grants: Iterable<Pick<Grant, 'since' | 'until'>>, nowMs: number): number {
  let next = Infinity
  for (const { since, until = Infinity } of grants) {
    for (const at of [since, until]) if (at > nowMs && at < next) next = at
  }
  return next
}
