/** Bounds of the command line. */
import { MINUTE_MS, SECOND_MS } from './units.ts'

/** What a shell waits for names from the node after a press of the key; a person notices no more than that kindly. */
export const completionTimeoutMs = 1 * SECOND_MS
/** Names told to a shell at once: more than anybody reads through. */
export const completionNamesMax = 500
/** A node on this machine shows that it is the one that is meant: a hash, which a busy one gets to after some time. */
export const nodeProofTimeoutMs = 10 * SECOND_MS
/** A program of the machine that "doctor" asks for its version, or an engine for a sign of life. */
export const doctorProgramTimeoutMs = 3 * SECOND_MS
/** Clocks that differ by less harm nothing: half of what records may be ahead is far more. */
export const doctorClockMs = 30 * SECOND_MS
/** Registries that differ for longer than ten catch-ups do not meet by themselves. */
export const doctorDifferenceMs = 10 * MINUTE_MS
/** A round that is watched is looked at so often where no event says that it has changed. */
export const clientWatchMs = 5 * SECOND_MS
