/**
 * Every bound of the node in one place, each with its reason. Bounds that are a matter of taste or of the machine
 * are settings (config.ts); these are the ones that peers must agree on or that keep memory finite.
 */
const KIB = 1024
const MIB = 1024 * KIB
export const SECOND_MS = 1_000
export const MINUTE_MS = 60 * SECOND_MS
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

/** A sealed record, envelope included. Larger things travel on direct streams, named by a record. */
export const recordBytesMax = 64 * KIB
/** A key is a path that people read; etcd clients send longer ones only by mistake. */
export const keyBytesMax = 512
/** Members that may claim one contested name side by side; further claims are ignored. */
export const claimsPerKeyMax = 16
/** How far ahead of our clock a record's time may be: honest clocks drift by minutes at most. */
export const clockSkewMaxMs = 10 * MINUTE_MS
/** Tombstones outlive any plausible absence of a member, so that its catch-up cannot resurrect what was deleted. */
export const tombstoneLifeMs = 30 * DAY_MS

/** A framed message on a direct stream (join, sync). Bulk bytes are not framed. */
export const frameBytesMax = 1 * MIB
/** What one peer may have us read ahead on one stream while we are slow (field note: yamux grows to 16 MiB). */
export const streamReadBufferBytesMax = 32 * MIB
/** Chunk of bulk bytes on a stream: the largest that gained throughput when measured. */
export const streamChunkBytes = 256 * KIB
/** A stream on which nothing moves for so long is given up. */
export const streamIdleMaxMs = 30 * SECOND_MS
/** Dialling and negotiating a protocol. */
export const dialTimeoutMs = 10 * SECOND_MS
/** Inbound streams of one protocol at once from one peer. */
export const streamsPerPeerMax = 8
/** Peers of all kinds connected at once. */
export const connectionsMax = 300
/** How often the supervisor looks for members without a connection. */
export const supervisorIntervalMs = 3 * SECOND_MS
/** Members dialled in one round of the supervisor, so that a large federation is not dialled in a storm. */
export const dialsPerRoundMax = 16

/** Gossip messages of one peer waiting for their verdict; more are ignored and come again by catch-up. */
export const gossipPendingPerPeerMax = 512
/** Records that one peer may have us judge a second, after a burst of twice as many. */
export const gossipRecordsPerSecondMax = 400

/** Catch-up: peers compare digests at every connect and at this interval. */
export const syncIntervalMs = 1 * MINUTE_MS
/** Records that one frame of a catch-up carries; with `recordBytesMax` it stays below `frameBytesMax`. */
export const syncRecordsPerFrameMax = 256
/** One catch-up with one peer; what is missing then comes with the next. */
export const syncTimeoutMs = 2 * MINUTE_MS
/** Writes that wait for the store. */
export const storeQueueMax = 10_000
/** Proofs kept of authors that gave one version two values: enough to show, too few to fill a disk with. */
export const evidenceMax = 1_000
/** How often expired records and old tombstones are looked for. */
export const sweepIntervalMs = 1 * SECOND_MS
/** Watchers of one node. */
export const watchersMax = 10_000

/** An invitation that is not used in this time is void. */
export const invitationLifeDefaultMs = 7 * DAY_MS
export const invitationLifeMaxMs = 90 * DAY_MS
/** Invitations that may be open at once on one node. */
export const invitationsMax = 1_000
/** A presence is renewed at this interval and expires after three. */
export const presenceIntervalMs = 5 * MINUTE_MS

/** One fetch of a dataset: what a peer may send us before we hang up. */
export const packBytesMax = 4 * 1024 * MIB
export const packObjectsMax = 5_000_000
/** One fetch from first byte to moved refs. */
export const fetchTimeoutMs = 30 * MINUTE_MS
/** Attempts at one head, each at another member where one has it. */
export const fetchAttemptsMax = 5
/** git child processes at once: more only fight over the disk. */
export const gitProcessesMax = 8
/** Branches that one member may announce in one dataset. */
export const branchesPerHeadMax = 64
/** Paths in a tree: longer ones do not fit the file systems of other members. */
export const pathBytesMax = 1_024
export const pathDepthMax = 64
export const treeEntriesMax = 1_000_000

/** Runs that wait in the queue of one node. */
export const queuedRunsMax = 1_000
/** Steps of a pipeline. */
export const stepsMax = 50
/** Log bytes kept of one step; what a tool prints beyond is dropped, and the log says so. */
export const stepLogBytesMax = 8 * MIB
/** Transitions and reasons are short; a run's record stays small. */
export const reasonCharactersMax = 500

/** Members of one electorate: their signatures together must fit one record. */
export const electorateMax = 100
/** Rounds that one node follows at once. */
export const openRoundsMax = 1_000

/** A request body of the API; imports of datasets are streamed and bounded apart. */
export const requestBytesMax = 1 * MIB
/** Event streams open at once. */
export const eventStreamsMax = 100
/** Events that wait for one slow reader before it is cut off. */
export const eventsPendingMax = 1_000

/** Listings of the marketplace heard and kept, and those of one author. */
export const listingsMax = 10_000
export const listingsPerAuthorMax = 100
