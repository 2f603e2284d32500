/**
 * The listings that a node knows, as a pure structure. Of each author, kind and name it keeps the listing that orders
 * last, so for one place all nodes come to show the same whatever the order of arrival. Which places a full catalogue
 * keeps is each node's own affair: it is a shop window, not a registry.
 */
import { listingEstablishedMs, listingsMax, listingsPerAuthorMax } from '../base/limits.ts'
import { compare } from '../registry/order.ts'
import { type Listing, type ListingKind, placeOf, type SealedListing } from './listing.ts'

export type ListingMerge =
  | { readonly outcome: 'newer'; readonly dropped: SealedListing | undefined }
  | { readonly outcome: 'duplicate' | 'stale' | 'crowded' }

export interface CatalogueOptions {
  /** Peer id of this node, whose own listings are never crowded out by those of others. */
  readonly self?: string
  /** Members of this node's federation, whose listings are not crowded out by those of strangers. */
  readonly isTrusted?: (peer: string) => boolean
  readonly listingsMax?: number
  readonly perAuthorMax?: number
}

export interface Wanted {
  readonly kind?: ListingKind | undefined
  readonly name?: string | undefined
  readonly author?: string | undefined
  /** Every word of it stands in the name, the description or the body. */
  readonly text?: string | undefined
}

export class Catalogue {
  readonly #self: string | undefined
  readonly #isTrusted: (peer: string) => boolean
  readonly #listingsMax: number
  readonly #perAuthorMax: number
  /** By author, then by place; tombstones are kept like listings until they expire. */
  readonly #authors = new Map<string, Map<string, SealedListing>>()
  #size = 0

  constructor(options: CatalogueOptions = {}) {
    this.#self = options.self
    this.#isTrusted = options.isTrusted ?? (() => false)
    this.#listingsMax = options.listingsMax ?? listingsMax
    this.#perAuthorMax = options.perAuthorMax ?? listingsPerAuthorMax
  }

  get size(): number {
    return this.#size
  }

  /** Whether anything of an author is here, a tombstone included, or it is one of ours. */
  isKnown(author: string): boolean {
    return this.#authors.has(author) || this.#keeps(author)
  }

  at(place: Pick<Listing, 'kind' | 'name' | 'author'>): SealedListing | undefined {
    return this.#authors.get(place.author)?.get(placeOf(place))
  }

  /** What merging `listing` would do; its `heardMs` is now. Pure. */
  judge(listing: SealedListing): ListingMerge {
    const ours = this.at(listing)
    if (ours !== undefined) {
      const order = compare(ours, listing)
      if (order === 0) return { outcome: 'duplicate' }
      return order > 0 ? { outcome: 'stale' } : { outcome: 'newer', dropped: undefined }
    }
    const count = this.#authors.get(listing.author)?.size ?? 0
    if (count >= this.#perAuthorMax) return { outcome: 'crowded' }
    if (this.#size < this.#listingsMax || listing.author === this.#self) {
      return { outcome: 'newer', dropped: undefined }
    }
    // Whoever has filled the catalogue makes room for those who have little in it; for those who have nothing in it,
    // what came lately does then.
    const dropped = this.#surplus(count + 1) ?? (count === 0 ? this.#recent(listing) : undefined)
    return dropped === undefined ? { outcome: 'crowded' } : { outcome: 'newer', dropped }
  }

  apply(listing: SealedListing, dropped?: SealedListing): void {
    if (dropped !== undefined) this.forget(dropped)
    let places = this.#authors.get(listing.author)
    if (places === undefined) {
      places = new Map()
      this.#authors.set(listing.author, places)
    }
    const place = placeOf(listing)
    const before = places.get(place)
    if (before === undefined) this.#size += 1
    // It is known for as long as its place is, whatever its author says anew.
    places.set(place, before === undefined ? listing : { ...listing, heardMs: before.heardMs })
  }

  forget(listing: SealedListing): void {
    const places = this.#authors.get(listing.author)
    if (places?.delete(placeOf(listing)) !== true) return
    this.#size -= 1
    if (places.size === 0) this.#authors.delete(listing.author)
  }

  /** What has expired at `nowMs`, tombstones included. */
  expired(nowMs: number): SealedListing[] {
    return [...this.#all()].filter((listing) => listing.expires <= nowMs)
  }

  /** What is offered at `nowMs` and fits, sorted by kind, name and author. */
  find(wanted: Wanted, nowMs: number): SealedListing[] {
    const words = wanted.text?.toLowerCase().split(/\s+/).filter(Boolean) ?? []
    return [...this.#all()]
      .filter((listing) => listing.body !== null && listing.expires > nowMs)
      .filter((listing) => wanted.kind === undefined || listing.kind === wanted.kind)
      .filter((listing) => wanted.name === undefined || listing.name === wanted.name)
      .filter((listing) => wanted.author === undefined || listing.author === wanted.author)
      .filter((listing) => words.length === 0 || containsAll(listing, words))
      .sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1))
  }

  /** The lowest listing of the author that has most, where that is more than `fair`. */
  #surplus(fair: number): SealedListing | undefined {
    let most: Map<string, SealedListing> | undefined
    for (const [author, places] of this.#authors) {
      if (!this.#keeps(author) && places.size > (most?.size ?? fair)) most = places
    }
    return most === undefined ? undefined : [...most.values()].sort(compare)[0]
  }

  /**
   * One of the listings of strangers that are not established yet, by lot: a flood of identities mostly displaces itself,
   * and cannot keep an honest newcomer, who announces again and again, from being heard.
   */
  #recent(listing: SealedListing): SealedListing | undefined {
    const since = listing.heardMs - listingEstablishedMs
    const pool: SealedListing[] = []
    for (const [author, places] of this.#authors) {
      if (this.#keeps(author)) continue
      for (const held of places.values()) if (held.heardMs > since) pool.push(held)
    }
    // The lot is the newcomer's hash, so that what is decided follows from what is given.
    return pool[Number.parseInt(listing.hash.slice(0, 8), 16) % pool.length]
  }

  #keeps(author: string): boolean {
    return author === this.#self || this.#isTrusted(author)
  }

  *#all(): Generator<SealedListing> {
    for (const places of this.#authors.values()) yield* places.values()
  }
}

function containsAll(listing: Listing, words: readonly string[]): boolean {
  const text = `${listing.name} ${listing.description} ${JSON.stringify(listing.body)}`.toLowerCase()
  return words.every((word) => text.includes(word))
}
