/** Bounds of the predecessor's routes and its gateway; see limits.ts. */
import { HOUR_MS, KIB, MIB, SECOND_MS } from './units.ts'

/** How often raw entries are saved, as the predecessor's listener did it. */
export const rawSaveIntervalMs = 10 * SECOND_MS
/** Raw entries that wait to be saved; beyond, writers are told to come back. */
export const rawWaitingMax = 10_000
/** Files of one commit: the bytes of a batch fit memory even when each is as large as a record. */
export const rawBatchMax = 500
/** A raw entry that could not be saved so often is given up, and the log says so. */
export const rawAttemptsMax = 360
/** Entries below a key that one question is told. */
export const inspectedMax = 1_000
/** Bytes of values that one question is told: as much as one record may have, many times over. */
export const inspectedBytesMax = 16 * MIB
/** A record beside its envelope and key, for a value that comes in JSON. */
export const rawValueBytesMax = 60 * KIB
/** Requests that wait for the end of a run of theirs, each of which holds a socket. */
export const runsAwaitedMax = 64
/** How long a request waits for its run; the run goes on. */
export const runAwaitedMs = 12 * HOUR_MS
/** The last bytes of a log that an answer carries. */
export const runOutputBytesMax = 1 * MIB
