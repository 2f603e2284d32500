/** Bounds of looking at results and telling of them; see limits.ts. */
import { DAY_MS, HOUR_MS, KIB, MINUTE_MS, SECOND_MS } from './units.ts'

/** A control file holds one number. */
export const controlFileBytesMax = 1 * KIB
/** Sizes of control values other than 0: within them, squares, ratios and percents stay finite numbers. */
export const controlValueLeast = 1e-100
export const controlValueMost = 1e100
/** Control files that a report shows. */
export const snapshotsMax = 10
/** Snapshots that a detector looks at: a year of daily ones and a month. */
export const detectorWindowMax = 400
/** Numbers of control files that are kept, since a file that is committed does not change. */
export const controlValuesKeptMax = 20_000
/** Insights must fit a record beside its envelope. */
export const insightsBytesMax = 48 * KIB
/** Series of control metrics whose last alarm is remembered. */
export const alarmsKeptMax = 10_000
/** Messages that wait to be delivered; beyond, the oldest are given up, and the log of deliveries says so. */
export const deliveriesWaitingMax = 1_000
/** Deliveries, done or given up, that are remembered. */
export const deliveriesKeptMax = 1_000
/** Messages that are being delivered at once. */
export const deliveriesAtOnceMax = 4
/** What one attempt may take. */
export const deliveryTimeoutMs = 20 * SECOND_MS
/** Pauses before the attempts that follow the first; who does not answer for a day is given up. */
export const deliveryPausesMs = [
  5 * SECOND_MS,
  30 * SECOND_MS,
  2 * MINUTE_MS,
  15 * MINUTE_MS,
  1 * HOUR_MS,
  4 * HOUR_MS,
  12 * HOUR_MS,
] as const
/** What is kept of an answer that refused a message. */
export const deliveryReasonCharactersMax = 300
/** Receivers of one kind in the settings. */
export const webhooksMax = 32
/** Longest silence on one series of alarms that can be asked for. */
export const alarmQuietMaxMs = 30 * DAY_MS
/** Runs that ended so shortly before the newest message are looked at again at start. */
export const notifyCatchUpMs = 1 * MINUTE_MS
