/**
 * The one door through which a listing enters. Each rule names the clause of protocols/marketplace.md §4 that it keeps.
 */
import { messageOf } from '../base/errors.ts'
import { clockSkewMaxMs, listingBytesMax } from '../base/limits.ts'
import { open } from '../identity/envelope.ts'
import type { AuthorPace } from './author-pace.ts'
import type { Catalogue } from './catalogue.ts'
import { decodeListing, hashOf, type SealedListing } from './listing.ts'

export type ListingRejectCode = 'TOO_LARGE' | 'BAD_ENVELOPE' | 'MALFORMED' | 'AUTHOR_MISMATCH'
export type ListingIgnoreCode = 'FUTURE' | 'EXPIRED' | 'DUPLICATE' | 'STALE' | 'HASTY' | 'CROWDED'

export type ListingRefusal =
  | { readonly action: 'reject'; readonly code: ListingRejectCode; readonly reason: string }
  | { readonly action: 'ignore'; readonly code: ListingIgnoreCode; readonly reason: string }

export type ListingVerdict =
  | {
      readonly action: 'accept'
      readonly listing: SealedListing
      readonly dropped: SealedListing | undefined
    }
  | ListingRefusal

export interface ListingBench {
  readonly catalogue: Pick<Catalogue, 'judge'>
  readonly pace: Pick<AuthorPace, 'allows'>
}

/** Opens, checks and judges an envelope as of `nowMs`. Never throws: what cannot be read is rejected. */
export async function judgeListing(
  envelope: Uint8Array,
  bench: ListingBench,
  nowMs: number,
): Promise<ListingVerdict> {
  const listing = await readListing(envelope)
  if ('action' in listing) return listing
  // [IGNORE FUTURE] A clock may be wrong, ours too; but no author may order itself last for years.
  if (Math.max(listing.time, listing.version) > nowMs + clockSkewMaxMs) {
    return ignore('FUTURE', `Its time is ${listing.time - nowMs} ms ahead`)
  }
  // [IGNORE EXPIRED] Everybody forgets expired listings; taking one back would undo that.
  if (listing.expires <= nowMs) return ignore('EXPIRED', 'The listing has expired')
  const merge = bench.catalogue.judge(listing)
  // [IGNORE DUPLICATE, STALE] A replay changes nothing, however old.
  if (merge.outcome === 'duplicate') return ignore('DUPLICATE', 'The listing is known')
  if (merge.outcome === 'stale') return ignore('STALE', 'A later listing of its author is known')
  // [IGNORE CROWDED] The author, or the catalogue, has as many as one node keeps.
  if (merge.outcome !== 'newer') return ignore('CROWDED', 'There is no room for another listing')
  // [IGNORE HASTY] Passed on, an author's flood would spend what its honest neighbours may send us.
  if (!bench.pace.allows(listing.author, nowMs)) {
    return ignore('HASTY', `${listing.author} renews its listings too often`)
  }
  return { action: 'accept', listing, dropped: merge.dropped }
}

async function readListing(envelope: Uint8Array): Promise<SealedListing | ListingRefusal> {
  // [REJECT TOO_LARGE] Looked at before the signature, which costs more.
  if (envelope.length > listingBytesMax) {
    return reject('TOO_LARGE', `A listing has at most ${listingBytesMax} bytes, this one ${envelope.length}`)
  }
  let opened: Awaited<ReturnType<typeof open>>
  try {
    opened = await open('listing', envelope)
  } catch (error) {
    // [REJECT BAD_ENVELOPE] Nobody honest passes on what does not open.
    return reject('BAD_ENVELOPE', messageOf(error))
  }
  try {
    const listing = decodeListing(opened.payload)
    // [REJECT AUTHOR_MISMATCH] The signer speaks for itself alone.
    if (listing.author !== opened.author) {
      return reject('AUTHOR_MISMATCH', `Signed by ${opened.author} in the name of ${listing.author}`)
    }
    return { ...listing, hash: hashOf(opened.payload), envelope }
  } catch (error) {
    // [REJECT MALFORMED] A signed payload that is no listing was made so on purpose.
    return reject('MALFORMED', messageOf(error))
  }
}

function reject(code: ListingRejectCode, reason: string): ListingRefusal {
  return { action: 'reject', code, reason }
}

function ignore(code: ListingIgnoreCode, reason: string): ListingRefusal {
  return { action: 'ignore', code, reason }
}
