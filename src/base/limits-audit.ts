/** The bounds of audits (protocols/audit.md). */
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './units.ts'

/** How long members may answer. The default is the predecessor's; below a second nobody hears of it in time. */
export const auditWindowMinMs = 1 * SECOND_MS
export const auditWindowDefaultMs = 10 * MINUTE_MS
export const auditWindowMaxMs = 1 * DAY_MS
/** Members that are asked at once: their peer ids take 55 bytes each, and an opening is one record. */
export const auditMembersMax = 256
/** From the opening on, its records are kept so long, for people; nothing rests on them. */
export const auditRecordsLifeMs = 30 * DAY_MS
/** How far the time of an opening may be from the time of its record: both are the opener's, written one after another. */
export const auditOpeningSkewMs = 1 * MINUTE_MS
/** Answers that are on their way when the window ends are given so long to arrive. */
export const auditSettleMs = 2 * SECOND_MS
/** A member that comes so long after the end still answers, so that people see that it was away, and what it holds. */
export const auditLateMs = 1 * HOUR_MS
/** Commits of candidates are asked for so long after the end; a member that is back after a restart needs a minute. */
export const auditFetchGraceMs = 2 * MINUTE_MS
/** Between two attempts at one commit; doubling from the first to the second. */
export const auditRetryFirstMs = 1 * SECOND_MS
export const auditRetryLongestMs = 30 * SECOND_MS
/** Commits that are fetched or read at once, each of another member. */
export const auditFetchesMax = 4
/** Audits under way that a node looks at: of one dataset, of one opener, of all. */
export const auditsPerDatasetMax = 16
export const auditsPerOpenerMax = 8
export const auditsUnderWayMax = 64
/** Audits of another member that a node takes part in within an hour: each costs every member a record and a comparison. */
export const auditsPerHourMax = 30
/** How often it is looked whether there is room now for audits that were left alone: all of them are read for it. */
export const auditLookAgainMs = 10 * SECOND_MS
/** Audits of one dataset that are listed, the newest: of one opener, and of all. */
export const auditsListedPerOpenerMax = 20
export const auditsListedMax = 50
/** Reports that are kept; others are made anew when somebody asks for them. */
export const auditReportsKeptMax = 64
/**
 * Files of all trees that differ, together. They are held in memory at once, some 500 bytes each, and the node does nothing
 * else while it compares them; no other bound keeps a member from announcing trees without end.
 */
export const auditEntriesMax = 150_000
/** Ratings (files times candidates) from which agreement is told: as many take some seconds at most. */
export const auditRatingsMax = 2_000_000
/** How often an audit that is under way is looked at when nothing in the registry changes. */
export const auditTickMs = 1 * SECOND_MS
/** Paths that are told of each kind of difference. */
export const auditPathsMax = 20
