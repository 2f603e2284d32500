/** Bounds of what datasets take on the disk, and of what is done to keep them within it. */
import { HOUR_MS, MIB, MINUTE_MS, SECOND_MS } from './units.ts'

/** A repository with so many loose objects or packs more than its last collection left is packed before its turn. */
export const gcLooseObjectsMax = 2_000
export const gcPacksMax = 50
/** One collection; what it has not done by then it does the next time. */
export const gcTimeoutMs = 1 * HOUR_MS
/** How often it is looked whose turn it is. */
export const gcLookIntervalMs = 5 * MINUTE_MS
/** What comes in is packed when nothing more has come for so long: an import brings many objects one after another. */
export const gcQuietMs = 10 * SECOND_MS
/** Datasets that wait to be collected. */
export const gcWaitingMax = 10_000
/** The next turn of a dataset of which the collection failed. */
export const gcRetryMs = 1 * HOUR_MS
/** A check of a whole dataset. */
export const verifyTimeoutMs = 1 * HOUR_MS
/** The free disk space is looked at again when so much has come in. */
export const freeLookBytes = 32 * MIB
/** A dataset over its quota is tried again after this; sooner when a collection has made room. */
export const quotaRetryMs = 10 * MINUTE_MS
/** The same on a full disk: others may make room at any time, and to look costs nothing. */
export const diskFullRetryMs = 1 * MINUTE_MS
/** Datasets of which the metrics tell the size one by one, the largest. */
export const datasetsMeasuredMax = 100
