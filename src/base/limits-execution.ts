/** Bounds of execution: runs, their queue, engine and logs, schedules and secrets; see limits.ts. */
import { HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS } from './units.ts'

/** The longest wait before a step is begun again: what mends itself later than this is for a person to mend. */
export const retryDelayMaxMs = 10 * MINUTE_MS
/** Runs that wait in the queue of one node. */
export const queuedRunsMax = 1_000
/** Steps of a pipeline. */
export const stepsMax = 50
/** Log bytes kept of one step; what a tool prints beyond is dropped, and the log says so. */
export const stepLogBytesMax = 8 * MIB
/** Transitions and reasons are short; a run's record stays small. */
export const reasonCharactersMax = 500
/** Runs remembered with their logs; the oldest ended ones make room. */
export const runsKeptMax = 5_000
/** One call to the container engine that only looks or tells: it answers in milliseconds or is stuck. */
export const engineCallTimeoutMs = 30 * SECOND_MS
/** Whether the engine answers at all. */
export const enginePingTimeoutMs = 5 * SECOND_MS
/** Making, starting or removing a container: a busy disk takes its time. */
export const containerChangeTimeoutMs = 2 * MINUTE_MS
/** A pull of one image: large ones over slow lines take long, but not for ever. */
export const imagePullTimeoutMs = 1 * HOUR_MS
/** What a container has printed is read to the end for so long after it ended. */
export const logDrainTimeoutMs = 10 * SECOND_MS
/** A tool's own /tmp, in memory and so part of its memory limit. */
export const toolTmpBytesMax = 256 * MIB
/** How often the output of a step at work is measured: a fast disk takes a few gigabytes in that time. */
export const outputWatchIntervalMs = 1 * SECOND_MS
/** Disk space that steps leave to the node: below it, nobody could write down how a run ended. */
export const diskFreeBytesMin = 512 * MIB
/** A log line that one follower has not taken yet is read again from the file: this much at a time. */
export const logReadBytes = 64 * KIB
/** A scheduled run that was missed still runs this late; after that the next one is nearer. */
export const missedRunMaxMs = 18 * HOUR_MS
/** Longest sleep of the scheduler: a suspended machine or a changed clock is noticed after it. */
export const schedulerSleepMaxMs = 30 * SECOND_MS
/** Schedules of one federation that a node follows. */
export const schedulesMax = 1_000
/** The file of secrets: names and tokens, no data. */
export const secretsBytesMax = 1 * MIB
/** Sealed values of one kind: secrets and credentials that people name one by one. */
export const sealedValuesMax = 1_000
/** A private key in PEM or a token, not data. */
export const sealedValueBytesMax = 64 * KIB
/** A pipeline, a step and a variable, or the address of a registry. */
export const sealedNameCharactersMax = 500
/** Shorter secrets stand in any large output by chance, so they are not searched for. */
export const secretSearchBytesMin = 4
/** A line of a secret of several lines that is long enough to be told from any other text. */
export const secretLineCharactersMin = 16
/** An output is searched for secrets this much at a time. */
export const secretSearchChunkBytes = 1 * MIB
/** Inputs of one step beside its dataset, and publishers of one step. */
export const stepInputsMax = 64
export const publishersPerStepMax = 8
/** A text given in a pipeline itself: parameters, not data; the pipeline must fit a record. */
export const inlineTextBytesMax = 16 * KIB
