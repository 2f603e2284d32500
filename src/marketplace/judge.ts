/**
 * The one door through which a listing enters. Each rule names the clause of protocols/marketplace.md §4 that it keeps.
 */
import { messageOf } from '../base/errors.ts'
import { clockSkewMaxMs, listingBytesMax } from '../base/limits.ts'
import { open } from '../identity/envelope.ts'
import type { Catalogue } from './catalogue.ts'
import { provenFounder } from './founder.ts'
import { decodeListing, hashOf, type Listing, type SealedListing } from './listing.ts'
import type { Pace } from './pace.ts'

export type ListingRejectCode =
  | 'TOO_LARGE'
  | 'BAD_ENVELOPE'
  | 'MALFORMED'
  | 'AUTHOR_MISMATCH'
  | 'FALSE_GENESIS'
export type ListingIgnoreCode = 'FUTURE' | 'EXPIRED' | 'DUPLICATE' | 'STALE' | 'HASTY' | 'CROWDED' | 'THRONG'

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
  readonly catalogue: Pick<Catalogue, 'judge' | 'isKnown'>
  /** Of authors. */
  readonly renewals: Pick<Pace, 'allows'>
  /** Of whoever brings authors that are not known here. */
  readonly newcomers: Pick<Pace, 'allows'>
}

/** Opens, checks and judges what `from` brings, as of `nowMs`. Never throws: what cannot be read is rejected. */
export async function judgeListing(
  envelope: Uint8Array,
  from: string,
  bench: ListingBench,
  nowMs: number,
): Promise<ListingVerdict> {
  const listing = await readListing(envelope, nowMs)
  if ('action' in listing) return listing
  // [IGNORE FUTURE] A clock may be wrong, ours too; but no author may order itself last for years.
  if (Math.max(listing.time, listing.version) > nowMs + clockSkewMaxMs) {
    return ignore('FUTURE', `Its time is ${listing.time - nowMs} ms ahead`)
  }
  // [IGNORE EXPIRED] Everybody forgets expired listings; taking one back would undo that.
  if (listing.expires <= nowMs) return ignore('EXPIRED', 'The listing has expired')
  // [IGNORE THRONG] Identities cost nothing; looked at before the catalogue looks for room, which does.
  if (!bench.catalogue.isKnown(listing.author) && !bench.newcomers.allows(from, nowMs)) {
    return ignore('THRONG', `${from} brings more authors that nobody here knows than it may`)
  }
  const merge = bench.catalogue.judge(listing)
  // [IGNORE DUPLICATE, STALE] A replay changes nothing, however old.
  if (merge.outcome === 'duplicate') return ignore('DUPLICATE', 'The listing is known')
  if (merge.outcome === 'stale') return ignore('STALE', 'A later listing of its author is known')
  // [IGNORE CROWDED] The author, or the catalogue, has as many as one node keeps.
  if (merge.outcome !== 'newer') return ignore('CROWDED', 'There is no room for another listing')
  // [IGNORE HASTY] Passed on, an author's flood would spend what its honest neighbours may send us.
  if (!bench.renewals.allows(listing.author, nowMs)) {
    return ignore('HASTY', `${listing.author} renews its listings too often`)
  }
  return { action: 'accept', listing, dropped: merge.dropped }
}

async function readListing(envelope: Uint8Array, heardMs: number): Promise<SealedListing | ListingRefusal> {
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
  let listing: Listing
  try {
    listing = decodeListing(opened.payload)
    // [REJECT AUTHOR_MISMATCH] The signer speaks for itself alone.
    if (listing.author !== opened.author) {
      return reject('AUTHOR_MISMATCH', `Signed by ${opened.author} in the name of ${listing.author}`)
    }
  } catch (error) {
    // [REJECT MALFORMED] A signed payload that is no listing was made so on purpose.
    return reject('MALFORMED', messageOf(error))
  }
  try {
    const founder = await provenFounder(listing)
    const proven = founder === undefined ? {} : { founder }
    return { ...listing, heardMs, ...proven, hash: hashOf(opened.payload), envelope }
  } catch (error) {
    // [REJECT FALSE_GENESIS] Its author has seen the genesis that it shows, and knows that it is another's.
    return reject('FALSE_GENESIS', messageOf(error))
  }
}

function reject(code: ListingRejectCode, reason: string): ListingRefusal {
  return { action: 'reject', code, reason }
}

function ignore(code: ListingIgnoreCode, reason: string): ListingRefusal {
  return { action: 'ignore', code, reason }
}
