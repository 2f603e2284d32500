/** Bounds of runs at other members: offers, placement, the run protocol, the policy of a host; see limits.ts. */
import { HOUR_MS, KIB, MINUTE_MS, SECOND_MS } from './units.ts'

/** A member's offer as a record: a few environments, not a catalogue. */
export const offerBytesMax = 8 * KIB
/** Environments in one offer: one for each engine. */
export const offerEnvironmentsMax = 4
/** Labels of an environment, and the characters of one label's value. */
export const offerLabelsMax = 8
export const offerLabelCharactersMax = 60
/** A price is told in words. */
export const offerPriceCharactersMax = 200
/** How often a node looks whether its offer has changed. */
export const offerLookIntervalMs = 30 * SECOND_MS
/** An offer that says the same is renewed so often, and expires after three times that. */
export const offerRenewIntervalMs = 5 * MINUTE_MS
/** Free disk space moves all the time: it is offered in steps of this, so that not every file makes a record. */
export const offerDiskStepBytes = 16 * 1024 ** 3
/** A predicate is a line that a person writes. */
export const whereCharactersMax = 1_000
export const whereDepthMax = 32

/** A request with its plan: a pipeline must fit a record of 64 KiB, and the tools' references come on top. */
export const runRequestBytesMax = 256 * KIB
/** Any other message of the run protocol. */
export const runMessageBytesMax = 128 * KIB
/** Bytes of a log in one message. */
export const runLogChunkBytes = 64 * KIB
/** The first message of a stream. */
export const runFirstMessageTimeoutMs = 10 * SECOND_MS
/** An answer to ask and submit: the policy hook has its own limit within. */
export const runAnswerTimeoutMs = 60 * SECOND_MS
/** Who follows a run hears at least this often that the host is there; the stream is given up after three times that. */
export const runAliveIntervalMs = 8 * SECOND_MS
/** A stream that follows a run ends after so long, and the follower comes again where it was. */
export const runFollowMaxMs = 1 * HOUR_MS
/** Streams of one member that follow runs; of the eight that it may have, the rest are for asking and cancelling. */
export const runFollowersPerPeerMax = 4
/** Streams of all members at once. */
export const runStreamsMax = 128
/** Requests of one member that may be judged in a minute, each of which may call a hook. */
export const runRequestsPerMinuteMax = 120
/** Transitions of one run that a follower keeps: five retries for each of fifty steps take fewer. */
export const remoteTransitionsMax = 2_000
/** Transitions in one message. */
export const remoteTransitionsPerMessageMax = 100
/** Remote runs that a node remembers; the oldest ended ones make room. */
export const remoteRunsKeptMax = 1_000
/** Remote runs of a node that have not ended. */
export const remoteRunsOpenMax = 200
/** Log bytes kept of one remote run, whatever its host sends. */
export const remoteLogBytesMax = 64 * 1024 * KIB
/** Times that the log of one remote run may begin: a host repeats a run that a crash has cut, and does so once. */
export const remoteLogPartsMax = 16
/** So long after a cancel a host may go without saying that the run has ended; then it counts as lost. */
export const remoteCancelWaitMs = 1 * HOUR_MS
/** Members that are asked before a request is given up. */
export const placesAskedMax = 32
/** A host that was asked to take a run and broke off is asked again for so long before another is. */
export const placeAgainMs = 1 * MINUTE_MS
/** Waits between tries to reach a host: from the first to the longest, doubling. */
export const remoteRetryFirstMs = 500
export const remoteRetryMaxMs = 30 * SECOND_MS
/** While others wait to follow a run of the same host, a stream is given up after this. */
export const remoteFollowTurnMs = 15 * SECOND_MS
/** Tools that one dataset may trust. */
export const trustedToolsMax = 200
/** What a policy hook may answer. */
export const policyAnswerBytesMax = 64 * KIB
/** Hooks at once, and requests that wait for one. */
export const policyHooksMax = 4
export const policyHooksWaitingMax = 64
