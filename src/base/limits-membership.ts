/** Bounds of who may do what in a federation: what stays of those who leave, successions, grants, requests. */
import { DAY_MS } from './units.ts'

/** A request to be admitted is an open question for so long; who asks may ask again. */
export const requestLifeMaxMs = 30 * DAY_MS
/** Hashes in one part of a departure list: 16 bytes each, as base64 well within one record. */
export const departureHashesMax = 2_500
/** Parts of one list: an author keeps 256 MiB of records at most, which are fewer than so many times that number. */
export const departurePartsMax = 400
/** Records that are looked through at once, before others have their turn. */
export const departureSliceMax = 1_000
/** An operator that finds a departure without a list waits so long for that of who ended the membership, */
export const departureListDelayMs = 2_000
/** and so much longer for each operator before it, so that one writes it and not all. */
export const departureListStepMs = 5_000
/** Departures without a list are looked for so often, beside every change among the members. */
export const departureLookMs = 60_000
/** Keys whose claims are looked at in one write when records of a former member go. */
export const discardedKeysMax = 500
