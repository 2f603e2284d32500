import { MIB, MINUTE_MS, SECOND_MS } from './units.ts'

/** How long the installer waits for one program or server that it looks at: all of these are on this machine. */
export const installLookTimeoutMs = 3 * SECOND_MS
/** How long a node that was just started is waited for: a large registry is read at the start. */
export const installStartWaitMs = 2 * MINUTE_MS
/** How long listings of federations are listened for on the marketplace, which newcomers hear within a minute. */
export const installMarketWaitMs = 1 * MINUTE_MS
/** How often the installer looks again at whatever it waits for. */
export const installPollMs = 500
/** A list of federations that is fetched from somebody's marketplace before a node runs. */
export const installListBytesMax = 1 * MIB
/** Federations of it that are offered for choosing; the rest is found by name. */
export const installListMax = 1_000
/** Secrets that come on standard input, one a line. */
export const secretsAskedMax = 100
