/** Bounds of the container engines, their networks and the files that travel to them; see limits.ts. */
import { HOUR_MS, MINUTE_MS, SECOND_MS } from './units.ts'

/** How old what is known of an engine may be before it is looked at again. */
export const engineLookLifeMs = 20 * SECOND_MS
/** One look at an engine: it answers in milliseconds, over a slow line in a second or two, or counts as down. */
export const engineLookTimeoutMs = 4 * SECOND_MS
/** How often engines are looked at by themselves, so that one that comes back is noticed. */
export const engineWatchIntervalMs = 15 * SECOND_MS
/** Engines of one node. */
export const enginesMax = 64
/** While a container is waited for, its engine is asked so often whether it is there; a line that was cut says nothing. */
export const engineAliveIntervalMs = 10 * SECOND_MS
/** Questions in a row without an answer until the engine counts as gone: a minute at most, with their own deadlines. */
export const engineMissesMax = 3
/** Bringing the files of one step to an engine, or back: as long as the pull of a large image. */
export const fileCarriageTimeoutMs = 1 * HOUR_MS
/** Docker may hear that the memory limit killed a container after it heard of its end: so much later, and on a busy machine up to the other. */
export const memoryKillSettleMs = 150
export const memoryKillSettleMaxMs = 2 * SECOND_MS
/** How often the volumes of a step are measured on an engine that does not share files: it walks through all of them. */
export const volumeLookIntervalMs = 15 * SECOND_MS
/** One call of iptables; it waits for the lock of others that change the rules. */
export const firewallTimeoutMs = 15 * SECOND_MS
export const firewallLockSeconds = 5
/** Ranges that an operator bars beside the usual ones, and name servers of bridged steps: a rule each. */
export const barredRangesMax = 256
export const nameserversMax = 8
/** A job of a swarm is asked after so often: a step's time is known to a fifth of a second. */
export const swarmPollIntervalMs = 200
/** A swarm that finds no place for a job for so long, image pulls of the other machine included, is not available. */
export const swarmPlaceTimeoutMs = 10 * MINUTE_MS
/** The start of a job is watched for so long, so that a command that does not start is told at once. */
export const swarmStartLookMs = 5 * SECOND_MS
/** Containers that start at once and want to know whether the rules of their network stand. */
export const guardWaitingMax = 256
/** A path in an archive from an engine, as long as the longest that Linux takes. */
export const archivePathBytesMax = 4_096
