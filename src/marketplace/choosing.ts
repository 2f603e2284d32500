/**
 * Which listing a name means where several authors use it (protocols/marketplace.md §8). Anybody may call anything
 * anything: what this node lists itself comes first, then what members of its federation list, then what it has known
 * longest; and where somebody is to act on it, nobody is taken for who is meant without having been named. Pure.
 */
import { listingEstablishedMs } from '../base/limits.ts'
import type { HeldListing } from './listing.ts'

/** Who somebody is to this node. */
export type Standing = 'own' | 'member' | 'stranger'
export type StandingOf = (author: string) => Standing

const RANKS: readonly Standing[] = ['own', 'member', 'stranger']

/** Which of two of one name comes first. */
export function byStanding(standingOf: StandingOf): (a: HeldListing, b: HeldListing) => number {
  const rank = (listing: HeldListing) => RANKS.indexOf(standingOf(listing.author))
  return (a, b) => rank(a) - rank(b) || a.heardMs - b.heardMs || (a.author < b.author ? -1 : 1)
}

/** One listing of each name, the first by `byStanding`, in that order: whoever takes only some takes those it knows. */
export function oneOfEachName<T extends HeldListing>(listings: readonly T[], standingOf: StandingOf): T[] {
  const first = new Map<string, T>()
  for (const listing of [...listings].sort(byStanding(standingOf))) {
    if (!first.has(listing.name)) first.set(listing.name, listing)
  }
  return [...first.values()]
}

/**
 * At most `max` of `listings`, in their order. Where that is not all, one's own and those of members come first, whatever
 * they are called, and then those that are known longest, so that a flood of names hides nothing that was there before it.
 */
export function withinBounds<T extends HeldListing>(
  listings: readonly T[],
  standingOf: StandingOf,
  max: number,
): T[] {
  if (listings.length <= max) return [...listings]
  const rank = ({ author, heardMs }: T) => {
    const standing = standingOf(author)
    return [RANKS.indexOf(standing), standing === 'stranger' ? heardMs : 0] as const
  }
  const ranked = listings.map((listing) => ({ listing, rank: rank(listing) }))
  ranked.sort((a, b) => a.rank[0] - b.rank[0] || a.rank[1] - b.rank[1])
  const taken = new Set(ranked.slice(0, max).map(({ listing }) => listing))
  return listings.filter((listing) => taken.has(listing))
}

/**
 * The listings that may be handed to somebody who cannot say whom they mean: one's own, those of members, and of
 * strangers those that have been known for a day longer than any other stranger's of the name, and for a day at all.
 */
export function uncontested<T extends HeldListing>(
  listings: readonly T[],
  standingOf: StandingOf,
  nowMs: number,
): T[] {
  const strangers = new Map<string, T[]>()
  const known: T[] = []
  for (const listing of listings) {
    if (standingOf(listing.author) !== 'stranger') known.push(listing)
    else strangers.set(listing.name, [...(strangers.get(listing.name) ?? []), listing])
  }
  for (const same of strangers.values()) {
    const [first, second] = same.sort((a, b) => a.heardMs - b.heardMs)
    if (first === undefined) continue
    if (Math.min(second?.heardMs ?? nowMs, nowMs) - first.heardMs >= listingEstablishedMs) known.push(first)
  }
  return known
}

export type Choice =
  /** `others` list the same name. */
  | { readonly listing: HeldListing; readonly named: boolean; readonly others: readonly HeldListing[] }
  /** Nobody has it, or nobody can be preferred to the others. */
  | { readonly listing: undefined; readonly among: readonly HeldListing[] }

/**
 * The listing that is meant, of those that have one name.
 *
 * @param author whom somebody has named; without, one's own is meant, else that of the one member that has it, else that
 * of the only author there is. A stranger's is never preferred to another's, and nor is one member's to another's.
 */
export function choose(
  listings: readonly HeldListing[],
  standingOf: StandingOf,
  author: string | undefined,
): Choice {
  const among = [...listings].sort(byStanding(standingOf))
  const without = (listing: HeldListing) => among.filter((other) => other !== listing)
  if (author !== undefined) {
    const listing = among.find((each) => each.author === author)
    return listing === undefined ? { listing, among } : { listing, named: true, others: without(listing) }
  }
  const [first, second] = among
  if (first === undefined) return { listing: undefined, among }
  const isAlone = second === undefined || standingOf(first.author) !== standingOf(second.author)
  if (!isAlone) return { listing: undefined, among }
  return { listing: first, named: false, others: without(first) }
}
