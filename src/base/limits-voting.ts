/** Bounds of voting on results, of locks and of what is kept of members that say two things (protocols/voting.md). */

/**
 * A result that has a quorum of votes and no certificate is voted on again at every multiple of this. Within it a vote
 * has to reach everybody and a confirmation to come back, catch-up included.
 */
export const renewalWindowMs = 60_000
/** Confirmations of what has just been seen may be on their way: nothing is voted on again before then. */
export const renewalPatienceMs = 10_000
/** What is locked so late in a window might be unknown to who comes first in the next one. */
export const renewalGuardMs = 10_000
/** How long the first in line of a window is waited for. */
export const renewalTurnMs = 4_000

/**
 * Votes and confirmations of one member in one round that are kept: the first and the latest. An honest one signs one a
 * window while the round cannot be decided, and only the latest can still become a quorum.
 */
export const votesPerMemberMax = 8

/**
 * Nobody votes before a round's `openedMs`, and the next round is opened later: what is dated further ahead is not taken
 * part in until then, or one member could put off everybody's rounds again and again.
 */
export const openingAheadMaxMs = 60_000

/** Words that members were found to have signed twice: those of a few rounds say enough of a member. */
export const evidenceKeptMax = 1_000
export const evidencePerMemberMax = 8
/** Votes and confirmations that are compared with those of other rounds of their dataset. */
export const wordsWatchedMax = 10_000
