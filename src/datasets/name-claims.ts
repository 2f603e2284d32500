/**
 * Whose a dataset's name is (protocols/dataset-heads.md §1 and §4). Any member may claim a name, and say when it did so
 * first; what decides is who can prove what. Everything here is pure.
 */
import { versionCountedMax } from '../base/limits.ts'
import type { Entry } from '../registry/watchers.ts'
import { datasetId, isLegacyName, type SharedRecord } from './dataset-record.ts'
import type { Commitment, Policy } from './policies.ts'

/** Why a claim does not say what a dataset is. */
export type Objection =
  /** Its id does not follow from its name, its founder and its seed: it is no dataset. */
  | 'not-proven'
  /** Its dataset is another member's, and its author is no operator. */
  | 'not-theirs'
  /** It was deleted, by an operator who had seen it, or never counted. */
  | 'buried'

/** What one member claims of a name. */
export interface Claimed {
  readonly id: string
  readonly author: string
  readonly record: SharedRecord
  readonly policy: Policy
  /** When it was written, and when its author first claimed the name, ms since the epoch. */
  readonly timeMs: number
  readonly sinceMs: number
  /** Peer id of who founded it, as the id proves; absent in records from before there were ids. */
  readonly founder?: string
  /** The id proves that the author founded it. */
  readonly isFounder: boolean
  readonly isOperators: boolean
  /** Absent where the claim counts. */
  readonly objection?: Objection
}

/** What the id of a record proves. */
export interface Proof {
  readonly id: string
  /** Peer id. */
  readonly founder?: string
  readonly holds: boolean
}

/** What the id of a record proves that `author` wrote ([MUST] dataset-heads.md H25). */
export function proofOf(name: string, author: string, record: SharedRecord): Proof {
  const { id = name, seed, founder = author } = record
  if (seed === undefined) return { id, holds: id === name && isLegacyName(name) }
  return id === datasetId(founder, name, seed) ? { id, founder, holds: true } : { id, holds: false }
}

/** @param presentOf which key stands for a peer now, where its node has changed it. */
export function claimOf(
  entry: Entry,
  record: SharedRecord,
  proof: Proof,
  isOperators: boolean,
  presentOf: (peer: string) => string = (peer) => peer,
): Claimed {
  const { timeMs, sinceMs } = entry
  const { id } = proof
  const author = presentOf(entry.author)
  const founder = proof.founder === undefined ? undefined : presentOf(proof.founder)
  const isFounder = founder === author
  const isBuried = entry.buried === true || (entry.version > versionCountedMax && !isOperators)
  const has = (objection: Objection) => ({ objection })
  return {
    ...{ id, author, policy: record.policy, timeMs, sinceMs, isFounder, isOperators },
    // So that whoever writes it on in its founder's stead names the founder.
    record: proof.founder === undefined ? record : { ...record, founder: proof.founder },
    ...(founder === undefined ? {} : { founder }),
    ...(isBuried
      ? has('buried')
      : !proof.holds
        ? has('not-proven')
        : founder !== undefined && !isFounder && !isOperators
          ? has('not-theirs')
          : {}),
  }
}

/** What this node knows of the dataset that had the name so far. */
export interface KeptClaim {
  readonly id: string
  /** Nobody but its founder and operators changes any more what it is. */
  readonly isSettled: boolean
}

export interface Decision {
  /** Says what the dataset is. */
  readonly shown: Claimed
  /** Who founded it, or claimed it first where nobody can prove that. */
  readonly founding: Claimed
  /** All that count, in the order of the registry. */
  readonly counting: readonly Claimed[]
  /** Ids of datasets that had the name before, and do not have it now. */
  readonly former: readonly string[]
}

/**
 * Which claim says what the dataset of a name is: an operator's first; then, once that is settled, that of who founded
 * what this node knows; then the one that the registry shows ([MUST] dataset-heads.md H26).
 *
 * @param claims in the registry's order.
 */
export function decideClaim(claims: readonly Claimed[], kept: KeptClaim | undefined): Decision | undefined {
  const counting = claims.filter(({ objection }) => objection === undefined)
  const [first] = counting
  if (first === undefined) return undefined
  const isOpen = first.isOperators || kept?.isSettled !== true
  const held = isOpen ? undefined : counting.find(({ id, isFounder }) => isFounder && id === kept?.id)
  const shown = held ?? first
  const [founding = shown] = counting.filter(({ id }) => id === shown.id).sort(compareFoundings)
  return { shown, founding, counting, former: formerOf(shown, counting) }
}

/**
 * [A6] Whether members claim the name for several datasets, and no operator has said whose it is. When each of them first
 * did so is its own word, so the first of the claims may be a squatter's.
 */
export function isDisputed({ shown, counting, former }: Decision): boolean {
  return !shown.isOperators && counting.some(({ id }) => id !== shown.id && !former.includes(id))
}

/** [MUST] Nobody but an operator says that what its founder still claims is no more (dataset-heads.md H18). */
function formerOf({ record, isOperators }: Claimed, counting: readonly Claimed[]): string[] {
  const { former = [] } = record
  return isOperators
    ? former
    : former.filter((id) => !counting.some((claim) => claim.isFounder && claim.id === id))
}

/** Who can prove it first; of others, who claimed the name first. */
function compareFoundings(a: Claimed, b: Claimed): number {
  if (a.isFounder !== b.isFounder) return a.isFounder ? -1 : 1
  return a.sinceMs - b.sinceMs || (a.author < b.author ? -1 : 1)
}

/** A claim to the name of a dataset that says something else, for people to look at. */
export interface ContestedClaim {
  readonly author: string
  readonly id: string
  /** `another`: it is a dataset of its own. */
  readonly reason: 'another' | Exclude<Objection, 'buried'>
}

export function contestedClaims(
  claims: readonly Claimed[],
  decision: Decision | undefined,
): ContestedClaim[] {
  return claims.flatMap(({ author, id, objection }): ContestedClaim[] => {
    if (objection === 'buried' || author === decision?.shown.author) return []
    if (objection !== undefined) return [{ author, id, reason: objection }]
    const isKnown = id === decision?.shown.id || decision?.former.includes(id) === true
    return isKnown ? [] : [{ author, id, reason: 'another' }]
  })
}

/**
 * Whether a copy is of the dataset that has the name. Two foundings of one name at the same moment are one dataset,
 * whichever claim is shown (H17); one that was founded after the other was removed is another (H18).
 */
export function belongs(
  kept: { readonly id: string; readonly removed?: true },
  {
    shown,
    counting,
    former,
  }: Pick<Decision, 'former'> & {
    readonly shown: Pick<Claimed, 'id'>
    readonly counting: readonly Pick<Claimed, 'id'>[]
  },
): boolean {
  if (kept.id === shown.id) return true
  return kept.removed !== true && !former.includes(kept.id) && counting.some(({ id }) => id === kept.id)
}

/**
 * [MUST] What another member does not share goes nowhere else because an operator says that the name is another
 * dataset's: it is set aside, and its promise with it (dataset-heads.md H17). Pure.
 */
export function isShutOut(
  kept: Commitment & { readonly id: string },
  { shown }: { readonly shown: Pick<Claimed, 'id' | 'isOperators'> },
  self: string,
): boolean {
  return shown.isOperators && kept.id !== shown.id && kept.policy !== 'shared' && kept.owner !== self
}
