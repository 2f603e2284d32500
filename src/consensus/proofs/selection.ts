/**
 * Which certificates and which records of a roll a node keeps of all that it has seen (protocols/verification.md §6). It
 * depends on what there is and on the present truth alone, so that nodes that have seen the same keep the same, byte for
 * byte. Pure.
 */
import { rollRepairsMax } from '../../base/limits-proofs.ts'
import { type ChainCheck, checkChain, checkQuorum } from './chain.ts'
import type { Link } from './link.ts'
import { type Founders, Roll } from './roll.ts'
import type { RollRecord } from './roll-records.ts'

/** Work that repairs of one roll may cost: links that are looked at again. */
const REPAIRED_LINKS_MAX = 100_000

export interface Seen {
  readonly genesis: Founders
  readonly dataset: string
  /** The certificate of the present truth. */
  readonly tip: Link
  readonly links: readonly Link[]
  readonly records: readonly RollRecord[]
}

export interface Selected {
  /** From the lowest height that is joined to the tip without a gap. */
  readonly links: readonly Link[]
  readonly records: readonly RollRecord[]
  readonly check: ChainCheck
}

export interface Beside extends Selected {
  /** Nothing of the new records was taken: with them the chain would not hold, and without them it does. */
  readonly isOwn?: true
}

/** [S4] What is new never breaks what holds. @param seen with the records that were here already. */
export function selectBeside(seen: Seen, news: readonly RollRecord[]): Beside {
  const records = new Map([...seen.records, ...news].map((record) => [record.hash, record]))
  const all = select({ ...seen, records: [...records.values()] })
  if (all.check.failure === undefined) return all
  const own = select(seen)
  return own.check.failure === undefined ? { ...own, isOwn: true } : all
}

export function select(seen: Seen): Selected {
  const first = attempt(seen, new Set())
  if (first.check.failure === undefined) return trimmed(seen, first)
  const authors = new Map(seen.records.map(({ hash, author }) => [hash, author]))
  const one = (against: readonly string[]) => against.slice(0, 1)
  const allOfOne = (against: readonly string[]) =>
    against.filter((hash) => authors.get(hash) === authors.get(against[0] as string))
  const now = repaired(seen, first, one) ?? repaired(seen, first, allOfOne)
  return trimmed(seen, now ?? first)
}

/** A record that speaks against a link on which later truths stand was dated back, or came too late to count. */
function repaired(
  seen: Seen,
  first: Attempt,
  culprits: (against: readonly string[]) => readonly string[],
): Attempt | undefined {
  const without = new Set<string>()
  let now = first
  for (let tries = repairsMax(first.links.length); tries > 0; tries -= 1) {
    const against = now.check.failure?.against?.filter((hash) => !without.has(hash)) ?? []
    if (against.length === 0) return undefined
    for (const hash of culprits(against)) without.add(hash)
    now = attempt(seen, without)
    if (now.check.failure === undefined) return now
  }
  return undefined
}

interface Attempt extends Selected {
  readonly roll: Roll
}

function attempt(seen: Seen, without: ReadonlySet<string>): Attempt {
  const records = seen.records.filter(({ hash }) => !without.has(hash))
  const roll = new Roll(seen.genesis, seen.dataset, records)
  const links = joined(seen, roll)
  const check = checkChain(links, roll, { fromHeight: links[0]?.height ?? 1 })
  return { links, records, check, roll }
}

/** [S1] From the tip down, at each height what the one above names; of several the lowest hash that holds [S2]. */
function joined({ tip, links }: Seen, roll: Roll): Link[] {
  const byPlace = new Map<string, Link[]>()
  const placeOf = (height: number, commit: string) => `${height} ${commit}`
  for (const link of [tip, ...links]) {
    const place = placeOf(link.height, link.commit)
    byPlace.set(place, [...(byPlace.get(place) ?? []), link])
  }
  const chain: Link[] = []
  let wanted: string | null = tip.commit
  for (let height = tip.height; height > 0 && wanted !== null; height -= 1) {
    const beforeMs = chain.at(-1)?.openedMs ?? Infinity
    const alike: Link[] = (byPlace.get(placeOf(height, wanted)) ?? [])
      .filter(({ openedMs }) => openedMs < beforeMs)
      .sort((a, b) => (a.hash < b.hash ? -1 : 1))
    const kept: Link | undefined =
      alike.length < 2 ? alike[0] : (alike.find((link) => !('clause' in checkQuorum(link, roll))) ?? alike[0])
    if (kept === undefined) break
    chain.push(kept)
    wanted = kept.parent
  }
  return chain.reverse()
}

/** [S3] Of a chain that holds, what it rests on; of one that does not, all: what is missing may be on its way. */
function trimmed({ genesis, dataset }: Seen, { links, records, check }: Attempt): Selected {
  if (check.failure !== undefined) return { links, records, check }
  // Asked anew, for what was looked at on the way is not needed.
  const roll = new Roll(genesis, dataset, records)
  checkChain(links, roll, { fromHeight: links[0]?.height ?? 1 })
  const needed = roll.needed()
  return { links, records: records.filter(({ hash }) => needed.has(hash)), check }
}

function repairsMax(links: number): number {
  return Math.min(rollRepairsMax, Math.ceil(REPAIRED_LINKS_MAX / Math.max(1, links)))
}
