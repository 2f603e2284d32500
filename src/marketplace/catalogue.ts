/**
 * The listings that a node knows, as a pure structure. Of each author, kind and name it keeps the listing that orders
 * last, so for one place all nodes come to show the same whatever the order of arrival. Which places a full catalogue
 * keeps is each node's own affair: it is a shop window, not a registry.
 */
import { listingsMax, listingsPerAuthorMax } from '../base/limits.ts'
import { compare } from '../registry/order.ts'
import { type Listing, type ListingKind, placeOf, type SealedListing } from './listing.ts'

export type ListingMerge =
  | { readonly outcome: 'newer'; readonly dropped: SealedListing | undefined }
  | { readonly outcome: 'duplicate' | 'stale' | 'crowded' }

export interface CatalogueOptions {
  /** Peer id of this node, whose own listings are never crowded out by those of others. */
  readonly self?: string
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
  readonly #listingsMax: number
  readonly #perAuthorMax: number
  /** By author, then by place; tombstones are kept like listings until they expire. */
  readonly #authors = new Map<string, Map<string, SealedListing>>()
  #size = 0

  constructor(options: CatalogueOptions = {}) {
    this.#self = options.self
    this.#listingsMax = options.listingsMax ?? listingsMax
    this.#perAuthorMax = options.perAuthorMax ?? listingsPerAuthorMax
  }

  get size(): number {
    return this.#size
  }

  at(place: Pick<Listing, 'kind' | 'name' | 'author'>): SealedListing | undefined {
    return this.#authors.get(place.author)?.get(placeOf(place))
  }

  /** What merging `listing` would do. Pure. */
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
    // Whoever has filled the catalogue makes room for those who have little in it.
    const dropped = this.#surplus(count + 1)
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
    if (!places.has(place)) this.#size += 1
    places.set(place, listing)
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
      if (author !== this.#self && places.size > (most?.size ?? fair)) most = places
    }
    return most === undefined ? undefined : [...most.values()].sort(compare)[0]
  }

  *#all(): Generator<SealedListing> {
    for (const places of this.#authors.values()) yield* places.values()
  }
}

function containsAll(listing: Listing, words: readonly string[]): boolean {
  const text = `${listing.name} ${listing.description} ${JSON.stringify(listing.body)}`.toLowerCase()
  return words.every((word) => text.includes(word))
}
