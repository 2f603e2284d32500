import { DAY_MS, KIB, MIB, MINUTE_MS, SECOND_MS } from './units.ts'

/**
 * Authors of which nothing was known that one connection may bring at once, and then a minute. A node with one neighbour
 * hears everybody through it: a thousand authors at once, and ten thousand in one and a half hours; and whoever makes
 * identities needs as long to fill a catalogue.
 */
export const newAuthorsBurst = 1_000
export const newAuthorsPerMinute = 100
/** Connections whose new authors are counted: more than a node has. */
export const newAuthorBringersMax = 1_000
/** What a full catalogue has known for so long it does not give away for what a stranger brings. */
export const listingEstablishedMs = 1 * DAY_MS
/** The genesis that a listing of a federation carries, in base64; it leaves room for contacts and addresses. */
export const listingGenesisCharactersMax = 10 * KIB
/** Listings of one kind that the predecessor's installers are given, and what they take together. */
export const hubEntriesMax = 2_000
export const hubBytesMax = 4 * MIB
/** How long such a file is kept as it is while others change what is in it: writing one takes tens of milliseconds. */
export const hubKeptMs = 5 * SECOND_MS
/** The same while nothing changes: listings end, and members come and go, without a word to the catalogue. */
export const hubUnchangedMs = 1 * MINUTE_MS
/** Entries of one file that is imported: as many as one author may list, many times over. */
export const importEntriesOfMarketMax = 2_000
/** One of the predecessor's files, which goes to the node as a text within JSON, in one request of at most a MiB. */
export const marketFileBytesMax = 700 * KIB
/** Fetching one of them. */
export const marketFetchTimeoutMs = 1 * MINUTE_MS
/** Installs and imports that wait for one another: each is some writes to the registry. */
export const installsWaitingMax = 100
/** Redirects that are followed on the way. */
export const marketRedirectsMax = 3
