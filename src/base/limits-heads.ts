/** The bounds of what members say of their datasets: records, heads, copies; see limits.ts. */
import { HOUR_MS, MINUTE_MS, SECOND_MS } from './units.ts'

/** Datasets of one name, one after the other, that a record remembers. */
export const formerIdsMax = 16
/** Changes of who votes on a dataset, and earlier times of one member's grant, that a record remembers. */
export const voteChangesMax = 16
export const grantSpansMax = 16
/** Datasets of one founder that a node follows unless they are chosen: each is a repository on its disk. */
export const datasetsPerMemberMax = 1_000
/** Datasets that are brought in step with their records side by side; each may ask git. */
export const datasetsSettledAtOnceMax = 16
/** Copies of a dataset that may be asked for: no federation votes with more members. */
export const replicasWantedMax = 64
/** Why a branch was reset is a sentence, in a record that every member holds. */
export const resetReasonCharactersMax = 500
/** How often a member says anew what it holds of a dataset; a busy dataset moves many times a second. */
export const replicaReportIntervalMs = 1 * MINUTE_MS
/**
 * How long a member has to be away before the next in line copies in its place, and how long that one goes on after the
 * first is back: one that comes and goes must not make everybody copy.
 */
export const replicaTakeOverMs = 5 * MINUTE_MS
/** Proofs of two heads in one place that are kept of all members together, and of one. */
export const equivocationsMax = 1_000
export const equivocationsPerMemberMax = 8
/** Heads that are remembered, one for each dataset and member, so that none is taken for new when it comes again. */
export const headMarksMax = 200_000
/** The same of one member, so that none takes up all of them. */
export const headMarksPerMemberMax = 10_000
/** Branches of one member in one dataset whose followed resets are remembered, the latest ones. */
export const resetsRememberedMax = 256
/** How long the removal of a copy waits for those who use it. */
export const removalWaitMs = 10 * SECOND_MS
/**
 * How long a node knows a dataset before nobody but its founder, or an operator, moves its name elsewhere: two members
 * that found one name while they are apart hear of each other within this time, as a rule.
 */
export const claimSettlingMs = 1 * HOUR_MS
/** Of an Ed25519 key there are 52; other kinds of keys have longer ones. */
export const peerIdCharactersMax = 128
