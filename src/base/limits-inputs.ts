/** Bounds of what steps read from elsewhere, and of where their outputs are published; see limits.ts. */
import { DAY_MS, KIB, MIB, MINUTE_MS, SECOND_MS } from './units.ts'

const GIB = 1024 * MIB

/** Inputs of one step that are fetched at once: a few slow servers do not hold up the others. */
export const inputsFetchedAtOnceMax = 4
/** Redirects that are followed, landing pages included; browsers give up after 20. */
export const inputRedirectsMax = 10
/** A name that stands for more addresses than that is tried at so many. */
export const inputAddressesMax = 16
/** Looking up a name; resolvers answer within seconds or not at all. */
export const inputLookupTimeoutMs = 20 * SECOND_MS
/** What the handle system answers: some values of a kilobyte. */
export const handleAnswerBytesMax = 256 * KIB
/** Files of a landing page that an error names. */
export const landingItemsToldMax = 10
/** The disk is looked at again after so many bytes of an input. */
export const inputFreeCheckBytes = 64 * MIB
/** Files of one output that are written to a publisher at once: enough to hide a round trip, and no flood. */
export const filesPublishedAtOnceMax = 4
/** Times that one file is tried, and the rest before the second; each later rest is twice the one before. */
export const publishAttemptsMax = 4
export const publishRestMs = 500
/** How long a publisher's server may send nothing; a large object is looked over before it is answered for. */
export const publishIdleTimeoutMs = 2 * MINUTE_MS
/** What one request takes in S3 (Amazon S3 quotas); larger objects would need uploads in parts. */
export const s3ObjectBytesMax = 5 * GIB
/** What a publisher's server answers, but for the files themselves: errors, lists of what was added. */
export const publisherAnswerBytesMax = 1 * MIB
/** Publications that are remembered with their manifests; the oldest that were removed make room. */
export const publicationsKeptMax = 10_000
/** How often publications are looked at whose time is up. */
export const publicationSweepMs = 1 * DAY_MS
/** Removed in one go; the rest follows a minute later. */
export const publicationsSweptMax = 200
