/**
 * Every bound of the node in one place, each with its reason. Bounds that are a matter of taste or of the machine
 * are settings (config.ts); these are the ones that peers must agree on or that keep memory finite. Those of datasets,
 * of execution, of the registry and of etcd fill files of their own, and are found here too.
 */
import { DAY_MS, HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS } from './units.ts'

export * from './limits-admission.ts'
export * from './limits-api.ts'
export * from './limits-cli.ts'
export * from './limits-datasets.ts'
export * from './limits-engines.ts'
export * from './limits-etcd.ts'
export * from './limits-execution.ts'
export * from './limits-federation.ts'
export * from './limits-gateway.ts'
export * from './limits-heads.ts'
export * from './limits-images.ts'
export * from './limits-inputs.ts'
export * from './limits-install.ts'
export * from './limits-market.ts'
export * from './limits-monitoring.ts'
export * from './limits-network.ts'
export * from './limits-registry.ts'
export * from './limits-remote.ts'
export * from './limits-schedules.ts'
export * from './limits-transfers.ts'
export * from './limits-upkeep.ts'
export * from './limits-voting.ts'
export { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './units.ts'

/** What a disk that was full must have free before the store is opened anew: LevelDB then writes its memory, 4 MiB, twice. */
export const storeRoomBytes = 12 * MIB
/** How often a full disk is tried again, whatever waits to be written. */
export const roomProbeIntervalMs = 250
/** Times that the store is opened anew after its disk was full, a quarter of a second apart; then the node must start again. */
export const storeOpeningsMax = 2_400
/** Signatures checked at once in the thread pool, which also serves the disk: some milliseconds of its work. */
export const signatureChecksMax = 64
/** Signatures that wait behind them; beyond, whoever brings more has them checked on the event loop. */
export const signatureChecksWaitingMax = 4_096
/** Signers whose prepared keys are kept: more than any federation has members. */
export const signerKeysMax = 4_096
/** A framed message on a direct stream (join, sync). Bulk bytes are not framed. */
export const frameBytesMax = 1 * MIB
/** What one peer may have us read ahead on one stream while we are slow (field note: yamux grows to 16 MiB). */
export const streamReadBufferBytesMax = 32 * MIB
/** What one stream may have under way to us: 40 MB/s at a round trip of 0.1 s, and as much twice in memory at most. */
export const streamWindowBytesMax = 4 * MIB
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
/** Ids of messages that were not passed on, in case this node comes to say them itself: some minutes of a busy federation. */
export const gossipIgnoredMax = 4_096
/** One message of gossip's own protocol, which may carry several records and the ids of very many. */
export const gossipFrameBytesMax = 1 * MIB
/** What is kept for a peer that does not read its gossip: its connection is then ended, and catch-up brings the rest. */
export const gossipUnsentBytesMax = 32 * MIB
/** How often streams of gossip that were given up are looked for: what comes on them until then is kept. */
export const gossipLookIntervalMs = 250
/** Looks at a peer without gossip until its connection is ended: longer than a slow line needs to begin. */
export const gossipSilentLooksMax = 16
/** Topics that one peer can make us remember, roughly a KiB each; and how many it may name at once before it is barred. */
export const topicBytesPerPeerMax = 256 * KIB
export const topicsNamedPerPeerMax = 48
/** How long a peer that flooded our tables is not let in. */
export const peerBarredMs = 2 * MINUTE_MS
/** Peers whose conduct is remembered; strangers can make new identities without end. */
export const peersMarkedMax = 10_000
/** An invitation that is not used in this time is void. */
export const invitationLifeDefaultMs = 7 * DAY_MS
export const invitationLifeMaxMs = 90 * DAY_MS
/** Invitations that may be open at once on one node. */
export const invitationsMax = 1_000
/** Newcomers that wait to be admitted by one node. */
export const admissionsWaitingMax = 100
/** A presence is renewed at this interval and expires after three. */
export const presenceIntervalMs = 5 * MINUTE_MS
/** Timers of the platform overflow beyond 2^31 - 1 ms and would fire at once. */
export const timerMaxMs = 2 ** 31 - 1
/**
 * Members of one electorate. A certificate holds the votes of more than two thirds of them (about 900 bytes each), the
 * opening (60 bytes a member) and the closing (180 bytes a member), and must fit one record of `recordBytesMax`.
 */
export const electorateMax = 64
/** Rounds of one dataset that a node looks at, over and over, because they may still change. */
export const openRoundsMax = 1_000
/** The same of one opener: one after the other is the rule, so that more are no honest member's. */
export const openRoundsPerMemberMax = 32
/** Rounds without an opening of which first words are kept; what is dropped is read from the registry again. */
export const earlyRoundsMax = 1_000
/**
 * How long members may hand in ballots. Shorter than gossip needs is no round; and since a dataset has one round at a
 * time, a longer one than a day would let a single member keep all others waiting for as long.
 */
export const roundWindowMinMs = 1 * SECOND_MS
export const roundWindowDefaultMs = 1 * MINUTE_MS
export const roundWindowMaxMs = 1 * DAY_MS
/** Votes may come for as long after the cut-off as ballots could before it, and never for less than this. */
export const voteWindowMinMs = 1 * MINUTE_MS
/** From its opening to the end of its votes, which may last as long as its ballots. */
export const roundLifeMaxMs = 2 * roundWindowMaxMs
/**
 * A round in which nobody but its opener has cast a ballot keeps others from being opened no longer than this: runs of
 * one slot end within minutes of each other, and nobody may hold a dataset up with a slot that nobody ran.
 */
export const quietRoundHoldMs = 2 * MINUTE_MS
/** A round that somebody asked for keeps those of schedules waiting no longer than this, however long its window is. */
export const requestHoldMs = 15 * MINUTE_MS
/** Ballots that came so shortly before the cut-off may be missing from a closing: clocks and gossip differ by that much. */
export const cutoffMarginMs = 1 * SECOND_MS
/** The next member in line acts when the one before it was silent for so long. */
export const takeOverMs = 2 * SECOND_MS
/** Ballots of one member in one round that are kept; a second one is proof enough that it is no honest member. */
export const ballotsPerMemberMax = 2
/** Values of one member in one round of which it is remembered when they came; an honest one writes a handful. */
export const arrivalsPerMemberMax = 32
/** Records that were refused, or could not be had, of which a node remembers that it said so. */
export const roundWordsKeptMax = 10_000
/** How often a round that is under way is looked at when nothing in the registry changes. */
export const roundTickMs = 1 * SECOND_MS
/** Fetching one ballot's commit, or the truth; tried again as long as it is wanted. */
export const candidateFetchTimeoutMs = 1 * MINUTE_MS
export const candidateRetryMs = 2 * SECOND_MS
/** Records of a round are kept so long for people and audits; the truth itself stays. */
export const roundRecordsLifeMs = 90 * DAY_MS
/** A request body of the API; imports of datasets are streamed and bounded apart. */
export const requestBytesMax = 1 * MIB
/** Event streams open at once. */
export const eventStreamsMax = 100
/** Events that wait for one slow reader before it is cut off. */
export const eventsPendingMax = 1_000
/** Listings of the marketplace heard and kept, and those of one author. */
export const listingsMax = 10_000
export const listingsPerAuthorMax = 100
/** Past events that a reader who comes back with Last-Event-ID still finds. */
export const eventsKeptMax = 1_000
/** A word on a quiet event stream, so that neither side nor a proxy takes it for dead. */
export const eventHeartbeatMs = 15 * SECOND_MS
/** Watches of the registry open at once through the API, and changes that are looked at in one go for one of them. */
export const registryWatchesMax = 100
export const watchChangesLookedAtMax = 500
/** Keys that one request may delete: they go in one write, for which all others wait. */
export const keysDeletedMax = 10_000
/** How exactly the API knows the times of revisions, and how many it keeps: some hours of a change every second. */
export const revisionMarkMs = 1 * SECOND_MS
export const revisionMarksMax = 20_000
/** What a git client may say in one request: the wants and haves of a very long negotiation, unzipped. */
export const gitRequestBytesMax = 16 * MIB
/** Clients of the API that wait for a free git process. */
export const gitRequestsWaitingMax = 64
/** Sockets of the API open at once: event streams, and a browser or program beside each. */
export const apiConnectionsMax = 512
/** The head of a request comes at once; a client that dribbles it holds a socket for nothing. */
export const requestHeadersTimeoutMs = 10 * SECOND_MS
/** A whole request, body included: the import of a large dataset from a slow disk. */
export const requestTimeoutMs = 2 * HOUR_MS
/** What requests in flight are given to end when the node stops. */
export const apiStopTimeoutMs = 5 * SECOND_MS
/** The longest line of problems that one refused request is told. */
export const problemsToldMax = 50
/** How long the command line waits for one answer; what takes longer is a stream, or is asked for again. */
export const clientTimeoutMs = 5 * MINUTE_MS
/** How often the command line looks whether a run or a round that it waits for has ended. */
export const clientPollMs = 300
/** How long the command line tries to come back to an event stream that was cut. */
export const clientReturnMs = 30 * SECOND_MS
/** What a node is given to stop all its parts before it ends all the same. */
export const instanceStopTimeoutMs = 30 * SECOND_MS
/** A sealed listing, envelope included: an advertisement, which says where the thing itself is. */
export const listingBytesMax = 16 * KIB
/** A listing that its author has not renewed for so long is forgotten. */
export const listingLifeMs = 30 * DAY_MS
/** How often an author renews its listings, so that they reach newcomers who are not its neighbours. */
export const listingRenewalIntervalMs = 10 * MINUTE_MS
/** After a connect, gossip needs a moment to learn what the new peer listens to. */
export const listingConnectDelayMs = 2 * SECOND_MS
/** Newcomers may come in crowds; they share one announcement in this time. */
export const listingAnnounceMinMs = 1 * MINUTE_MS
/** Authors whose pace is watched at once. */
export const listingAuthorsWatchedMax = 10_000
/** Addresses and contacts in the listing of a federation. */
export const listingContactsMax = 32
/** A larger value of a record is not told in an event, which is kept for those who come back; it is there to be read. */
export const eventValueBytesMax = 4 * KIB
/** A refused request is read on for so long, so that its sender, who still writes, comes to read why. */
export const refusedBodyTimeoutMs = 10 * SECOND_MS
