/** Bounds of the certificates that a dataset carries along (protocols/verification.md §7). */
import { KIB, MINUTE_MS, SECOND_MS } from './units.ts'

/** Heights of one chain: a truth an hour for eleven years; a node holds a short form of each in memory. */
export const certificatesMax = 100_000
/** Certificates in one directory, so that a new one changes three small directories and not one large one. */
export const certificatesPerDirectory = 100
/** Records of one roll. Members come and go by the hundred in a federation's life, not by the ten thousand. */
export const rollRecordsMax = 10_000
/** Of a roll that contradicts its chain, so many records are left out one by one before it is left as it is. */
export const rollRepairsMax = 64
/** A genesis is a sealed envelope as well. */
export const proofFileBytesMax = 64 * KIB
/** Fetching one member's branch. */
export const proofFetchTimeoutMs = 2 * MINUTE_MS
/** Several certificates and announcements that come together are one write. */
export const proofSettleMs = 200
/** The least time between two announcements of this node that name nothing new but its certificates. */
export const proofAnnounceMs = 1 * SECOND_MS
/** The pause after a failure, doubled up to the second; then the next certificate or the next start tries again. */
export const proofRetryFirstMs = 2 * SECOND_MS
export const proofRetryLongestMs = 30 * MINUTE_MS
export const proofRetriesMax = 20
/** Members whose branch did not hold are not asked for the same commit again; so many commits are remembered. */
export const proofRefusedMax = 1_000
/** Links that the API and maoctl show of a chain, the last ones. */
export const chainLinksShownMax = 100
/** How long a check computes old results anew from their ballots before it leaves the rest. */
export const chainRecomputeMs = 20 * SECOND_MS
/** Clocks of members differ: an admission dated so much behind a round's opening still counts for it. */
export const rollClockSkewMs = 10 * MINUTE_MS
/** Datasets whose certificates are written or fetched at once; the others wait. */
export const proofsAtOnceMax = 4
export const proofsWaitingMax = 100_000
