/** Bounds of schedules and of the claims to their slots; see limits.ts. */
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './units.ts'

/** A scheduled run that was missed still runs this late, as the predecessor's did; after that the next one is nearer. */
export const missedRunMaxMs = 18 * HOUR_MS
/** Of the slots that were missed this many run after an outage where all are wanted: a day of an hourly rule. */
export const missedSlotsMax = 24
/** A slot that is looked at within this time of its own is not missed: two of the scheduler's longest sleeps. */
export const onTimeMs = 1 * MINUTE_MS
/** Longest sleep of the scheduler: a suspended machine or a changed clock is noticed after it. */
export const schedulerSleepMaxMs = 30 * SECOND_MS
/** Schedules of one federation that a node follows. */
export const schedulesMax = 1_000
/** Runs of one schedule that wait or are at work, where an overlap queues: a tool that is slower than its rule stays behind by no more. */
export const overlapWaitingMax = 24
/** Members are spread over this time at most; a longer wait is a rule of its own. */
export const jitterMaxMs = 1 * HOUR_MS
/** Members that one slot can be claimed by: as many as can vote together. */
export const claimantsMax = 64
/** A claimant that was silent for so long is replaced, unless the schedule says otherwise. */
export const takeOverDefaultMs = 1 * MINUTE_MS
/** Below it, the delay of gossip and the difference of clocks would look like silence. */
export const takeOverMinMs = 3 * SECOND_MS
export const takeOverMaxMs = 1 * HOUR_MS
/** A claimant says so often within that time that it is at work: two of three words may be lost. */
export const claimRenewals = 3
/** A claimant whose run waits in its queue for so many times that long gives the slot to the next in line, where there is one. */
export const claimWaits = 10
/** A claim is remembered for so long at most. */
export const claimLifeMaxMs = 7 * DAY_MS
/** Claims of a rule that fires often make room sooner, but for this many slots they are kept. */
export const claimsKeptSlots = 200
export const claimLifeMinMs = 1 * HOUR_MS
/** Slots of one schedule that are followed until they have been run. */
export const openSlotsMax = 32
/** Rules whose reading is kept: more than are in use at once on most nodes. */
export const rulesKeptMax = 1_000
/** Runs of a schedule that its view lists. */
export const scheduleRunsShownMax = 10
