/**
 * Which federation of the marketplace a newcomer means. Anybody may list any name, and whoever sits near a newcomer is heard
 * first: a name alone takes nobody in, unless all that list it show one and the same federation.
 */
import { z } from 'zod'
import type { ListingView } from '../../api/market-views.ts'
import { timeText } from '../output.ts'

const bodySchema = z.object({
  federation: z.string().optional(),
  contacts: z.array(z.string()).catch([]).default([]),
  addresses: z.array(z.string()).catch([]).default([]),
})

/** As many as a request takes (POST /federation/request). */
const ADDRESSES_MAX = 32

/** One federation, by all that list it. */
export interface ListedFederation {
  readonly name: string
  readonly description: string
  /** Its id; undefined where a listing names none. */
  readonly federation: string | undefined
  readonly addresses: readonly string[]
  readonly contacts: readonly string[]
  /** Peer id of who founded it, where a listing shows its genesis. */
  readonly founder: string | undefined
  readonly author: string
  readonly heardMs: number
}

export function isFederationId(text: string): boolean {
  return /^mao[a-z2-7]{20,}$/.test(text)
}

/** The federations that are listed, each id once, known longest first; what names no id stands for itself. Pure. */
export function federationsIn(listings: readonly ListingView[]): ListedFederation[] {
  const found: ListedFederation[] = []
  for (const { name, description, author, heardMs, founder, body } of [...listings].sort(byTime)) {
    const { federation, contacts, addresses } = bodySchema.parse(body)
    const index = found.findIndex((each) => federation !== undefined && each.federation === federation)
    const before = found[index]
    if (before === undefined) {
      const bounded = addresses.slice(0, ADDRESSES_MAX)
      found.push({ name, description, author, heardMs, founder, contacts, federation, addresses: bounded })
      continue
    }
    // Each may know other ways to it; who it is does not hang on them, since its id says that.
    const all = [...new Set([...before.addresses, ...addresses])].slice(0, ADDRESSES_MAX)
    const shown = before.founder === undefined && founder !== undefined ? { author, contacts, founder } : {}
    found[index] = { ...before, ...shown, addresses: all }
  }
  return found
}

function byTime(a: ListingView, b: ListingView): number {
  return a.heardMs - b.heardMs || (a.author < b.author ? -1 : 1)
}

/**
 * The one that is meant without a question: by its id, or the only one of its name that shows what it is.
 *
 * @param wanted an id, a name, or empty for whichever somebody chooses.
 */
export function unmistakable(
  found: readonly ListedFederation[],
  wanted: string,
): ListedFederation | undefined {
  const [only] = found
  if (only === undefined || found.length > 1 || wanted === '') return undefined
  return only.federation === wanted || only.founder !== undefined ? only : undefined
}

/** What tells it from another of its name. */
export function identityText({ federation, founder, author, heardMs }: ListedFederation): string {
  const who = founder === undefined ? 'that it is this one is only said' : `founded by ${founder}`
  return `${federation ?? 'no id'}, ${who}, listed by ${author}, known here since ${timeText(heardMs)}`
}
