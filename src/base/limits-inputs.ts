/** Bounds of what steps read from elsewhere, and of where their outputs are published; see limits.ts. */
import { KIB, MIB, SECOND_MS } from './units.ts'

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
