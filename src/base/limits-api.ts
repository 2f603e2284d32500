/** Bounds of the HTTP API's doors: tokens, and how often who may ask. */
import { DAY_MS, MINUTE_MS, SECOND_MS } from './units.ts'

/** Tokens of one node, expired ones included until they are swept. */
export const tokensMax = 1_000
/** A token always ends: one that is forgotten in a script must not open the node for ever. */
export const tokenLifeDefaultMs = 90 * DAY_MS
export const tokenLifeMinMs = 1 * MINUTE_MS
export const tokenLifeMaxMs = 366 * DAY_MS
/** Kept so long after its end, so that who still uses it reads "expired" and not "not right". */
export const tokenKeptMs = 30 * DAY_MS
/** How exactly the last use of a token is remembered: a write for each request would cost more than the request. */
export const tokenUseMarkMs = 1 * MINUTE_MS
/** Requests are counted over this time, so that a burst of a page or a script is none. */
export const rateWindowMs = 10 * SECOND_MS
/** How often an open stream asks whether its token still opens anything: so it ends within a second. */
export const streamTokenCheckMs = SECOND_MS / 2
