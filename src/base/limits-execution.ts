/** Bounds of execution: runs, their queue, engine and logs, schedules and secrets; see limits.ts. */
import { HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS } from './units.ts'

/** The longest wait before a step is begun again: what mends itself later than this is for a person to mend. */
export const retryDelayMaxMs = 10 * MINUTE_MS
/** What a crash has left to be published is given so much time at least, however short its run was to be. */
export const latePublishingMinMs = 10 * MINUTE_MS
/** A record that could not be written is tried again after this rest, which doubles up to the longest. */
export const recordAgainMs = 1 * SECOND_MS
export const recordAgainMaxMs = 1 * MINUTE_MS
/** Many ask where their runs stand in line: the answer is reckoned anew after so long, or when the queue changes. */
export const queueLineLifeMs = 1 * SECOND_MS
/** Runs that wait in the queue of one node. */
export const queuedRunsMax = 1_000
/** Engines that are down, or too full for a run that waits, are looked at this often: nobody tells of them. */
export const engineLookIntervalMs = 5 * SECOND_MS
/** The rest between two looks for runs that have just come, so that a crowd of them brings one look. */
export const engineLookAgainMs = 50
/** What is known of an engine that was up is taken for true so long: machines seldom grow or shrink. */
export const engineStateLifeMs = 1 * MINUTE_MS
/** What an owner's runs took of the machines weighs half after this time: a morning's work is felt until the evening. */
export const usageHalfLifeMs = 6 * HOUR_MS
/** A run's start counts as at least so much time: pulling, staging and committing go with the shortest of them. */
export const runStartShareMs = 10 * SECOND_MS
/** Runs that are named in the reason why another waits; more would not be read. */
export const runsNamedMax = 3
/** How a client names its request (draft-ietf-httpapi-idempotency-key-header): a UUID, or a line of its own words. */
export const requestKeyCharactersMax = 200
/** A submission whose answer was lost is sent again under the same key, so often and after so long. */
export const submitAttemptsMax = 3
export const submitAgainMs = 500
/** Steps of a pipeline. */
export const stepsMax = 50
/** Log bytes kept of one step; what a tool prints beyond is dropped, and the log says so. */
export const stepLogBytesMax = 8 * MIB
/** Transitions and reasons are short; a run's record stays small. */
export const reasonCharactersMax = 500
/** This node's own runs remembered with their logs; the oldest ended ones make room. */
export const runsKeptMax = 5_000
/** Runs of other members remembered beside them: these make room for each other alone. */
export const runsOfMembersKeptMax = 1_000
/** One call to the container engine that only looks or tells: it answers in milliseconds or is stuck. */
export const engineCallTimeoutMs = 30 * SECOND_MS
/** Whether the engine answers at all. */
export const enginePingTimeoutMs = 5 * SECOND_MS
/** Making, starting or removing a container: a busy disk takes its time. */
export const containerChangeTimeoutMs = 2 * MINUTE_MS
/** How often the engines are asked for containers that nobody waits for: one short question each. */
export const reapIntervalMs = 30 * SECOND_MS
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
/** One line of a commit's message, and how often one kind of line stands in it: a commit goes to every member. */
export const trailerCharactersMax = 2_000
export const trailersOfKeyMax = 64
/** Files of one input that an algorithm of compute-to-data finds by number; each is a copy. */
export const computeToDataFilesMax = 10_000
/** Inputs of one step beside its dataset, and publishers of one step. */
export const stepInputsMax = 64
export const publishersPerStepMax = 8
/** A text given in a pipeline itself: parameters, not data; the pipeline must fit a record. */
export const inlineTextBytesMax = 16 * KIB
/** Files that a comparison of two runs names; how many differ in all is told. */
export const rerunChangesMax = 100
/** What Renku may take to do a project's workflow again. */
export const renkuTimeoutMs = 6 * HOUR_MS
