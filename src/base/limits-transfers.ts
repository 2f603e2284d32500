/** Bounds of transfers between members: how long, how fast, how many. */
import { KIB, MINUTE_MS, SECOND_MS } from './units.ts'

/** From the question to the first byte of a pack: git may have to walk and compress a large history first. */
export const fetchPreparationMaxMs = 10 * MINUTE_MS
/** A word meanwhile, so that a stream on which nothing else moves is not taken for dead. */
export const fetchAliveIntervalMs = 5 * SECOND_MS
/** Such words that one wait listens to. */
export const fetchAliveWordsMax = 1_000
/** What is still heard of a peer that was refused, until it hangs up: its bytes, and how long. */
export const refusedBytesMax = 64 * KIB
export const refusedPartingMs = 2 * SECOND_MS
/**
 * The least that has to move in each window of waiting for the other side, about 8 KiB/s: below it a member is not slow
 * but in the way.
 */
export const transferWindowMs = 60 * SECOND_MS
export const transferWindowBytesMin = 512 * KIB
/**
 * git's own work on a pack that was received, before it is refused: so long, and longer by each MiB of the pack. Deltas of
 * some kilobytes can make gigabytes, of which git tells nothing before it is done.
 */
export const packWorkFirstMs = 60 * SECOND_MS
export const packWorkPerMibMs = 1 * SECOND_MS
/** How long a member whose packs did not hold is not asked: from the first time, doubling, to the longest. */
export const distrustFirstMs = 500
export const distrustLongestMs = 60 * MINUTE_MS
export const distrustedMax = 10_000
/** The longest pause before bytes that did not hold, or one of many heads that fail, are asked for again. */
export const fetchLongestPauseMs = 360 * MINUTE_MS
/** Heads of one author that are fetched at once: however many there are, those of others come in between. */
export const fetchesPerAuthorMax = 4
/** Heads of one author that may fail before each of them is tried less often, so that all together are not. */
export const failingHeadsMin = 8
/**
 * Where somebody waits: how long a member that was asked may send nothing of its pack before the next is asked beside it,
 * and before one of two makes room for a third.
 */
export const askBesideAfterMs = 3 * SECOND_MS
export const askSilentMaxMs = 15 * SECOND_MS
/** Fetches of this node's own from one member at once: one that brings much and one that brings little. */
export const fetchesPerMemberMax = 2
/** Between two words about the progress of one transfer. */
export const progressIntervalMs = 500
/**
 * How long a fetch waits for another author's of the same dataset, which brings most of what it wants, as a rule; while
 * nothing of the dataset is here, where both would bring all of it; and when one is taken for stalled.
 */
export const fetchSameDatasetWaitMs = 1.5 * SECOND_MS
export const fetchFirstCopyWaitMs = 2 * MINUTE_MS
export const fetchStallMs = 1.5 * SECOND_MS
