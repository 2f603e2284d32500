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

/** Peers whose conduct is remembered; strangers can make new identities without end. */
export const peersMarkedMax = 10_000

/** Catch-up: peers compare digests at every connect and at this interval. */
export const syncIntervalMs = 1 * MINUTE_MS
/** Records of one catch-up that are gossiped on; after a long absence others catch up by themselves. */
export const syncRelayedMax = 256
/** After a connect, gossip between the two needs a moment to begin; a second pull brings what was said in it. */
export const syncSettleMs = 1 * SECOND_MS
/** Records and bytes of them that one frame of a catch-up carries; with one `recordBytesMax` it is below `frameBytesMax`. */
export const syncRecordsPerFrameMax = 2_048
export const syncRecordBytesPerFrameMax = 512 * KIB
/** Ranges of up to so many records are listed with their hashes rather than split. */
export const syncListedMax = 64
/** Parts of a split: more of them make fewer rounds, and more of what is the same is told. */
export const syncPartsMax = 16
/** A differing part of up to so many records is fetched, but for what the puller says it holds: at most so many. */
export const syncPartRecordsMax = 256
export const syncPartHeldMax = 1_024
/** Ranges in one comparison: answered with lists or splits of the longest places they fit one frame. */
export const syncRangesComparedMax = 16
/** Ranges in one question for records, and what is said of the records held there: both fit one frame. */
export const syncRangesFetchedMax = 256
export const syncHaveBytesMax = 512 * KIB
/** Records that one question for records aims at, as far as they are counted before: about one frame. */
export const syncRecordsAskedMax = 1_024
/** Questions of one catch-up that are under way at once: the next are answered while the last is judged. */
export const syncQuestionsAheadMax = 3
/** Frames of records that are judged at once; no further one is read meanwhile. */
export const syncBatchesJudgedMax = 2
/** Splits within splits: sixteen parts a time, no registry is deep enough for more. */
export const syncDepthMax = 16
/** What a catch-up may do in vain: ranges compared and records fetched that bring nothing. Some seconds of work. */
export const syncEffortMax = 50_000
/** Records of one author that may not enter before a catch-up asks for no more of them, and authors of whom it does not. */
export const syncRefusedPerAuthorMax = 500
export const syncAuthorsExceptedMax = 64
/** Who was dishonest in a catch-up is not pulled from by itself for so long: its lies cost some seconds of work. */
export const syncDistrustMs = 10 * MINUTE_MS
/** What each record that is accepted adds to that: to find a single one, some ranges have to be compared. */
export const syncEffortPerRecord = 16
/** From one answer to the next; a slow line brings a full frame in this time. */
export const syncAnswerTimeoutMs = 20 * SECOND_MS
/** Catch-ups that fetch records at once: from two ends, so that two peers do not bring the same. */
export const syncFetchingMax = 2
/** After so long a catch-up makes room for one that waits, and goes on after it: nobody can hold up the others. */
export const syncTurnMs = 20 * SECOND_MS
/** One catch-up with one peer, however well it moves on; what is missing then comes with the next. */
export const syncTimeoutMs = 1 * HOUR_MS
/** Peers whose last catch-up and digest are remembered for the operator. */
export const syncPeersToldMax = 1_000
/** Digests of ranges that are kept until the next change: those that every catch-up asks for first, and a few more. */
export const digestsCachedMax = 64
/** Writes that wait for the store. */
export const storeQueueMax = 10_000
/** Proofs kept of authors that gave one version two values: enough to show, too few to fill a disk with. */
export const evidenceMax = 1_000
/** How often expired records and old tombstones are looked for. */
export const sweepIntervalMs = 1 * SECOND_MS
/** Watchers of one node. */
export const watchersMax = 10_000

/** What a tombstone buries goes when the tombstone is old; the tombstone itself waits until all nodes have done so. */
export const tombstoneGraceMs = 1 * DAY_MS
/** What one member may keep in everybody's registry: some 300,000 small records, and never the whole memory. */
export const authorBytesMax = 256 * MIB
/** What a record takes beside its envelope, roughly; so that very small ones count too. */
export const recordOverheadBytes = 512
/** A version above this was never reached by counting. */
export const versionMax = 2 ** 40
/** Versions of others that a writer goes above: half of the way, so that nobody can use the rest up for everybody. */
export const versionFollowedMax = 2 ** 39

/** An invitation that is not used in this time is void. */
export const invitationLifeDefaultMs = 7 * DAY_MS
export const invitationLifeMaxMs = 90 * DAY_MS
/** Invitations that may be open at once on one node. */
export const invitationsMax = 1_000
/** Newcomers that wait to be admitted by one node. */
export const admissionsWaitingMax = 100
/** A presence is renewed at this interval and expires after three. */
export const presenceIntervalMs = 5 * MINUTE_MS

/** One fetch of a dataset: what a peer may send us before we hang up. */
export const packBytesMax = 4 * 1024 * MIB
export const packObjectsMax = 5_000_000
/** One fetch from first byte to moved refs. */
export const fetchTimeoutMs = 30 * MINUTE_MS
/** Attempts at one head, each at another member where one has it. */
export const fetchAttemptsMax = 5
/** Transfers that this node serves at once, to all and to one member; a member that is refused tries another. */
export const transfersServedMax = 16
export const transfersPerPeerMax = 4
/** Fetches of this node's own at once. */
export const fetchesMax = 4
/** Commits that a client without git names as known to it; more would only make a smaller pack. */
export const fetchHavesMax = 1_024
/** A line of the fetch protocol: all wants and haves. */
export const fetchLineBytesMax = 64 * KIB
/** Between two rounds of attempts at a head: from the first to the longest pause. A peer that connects ends it. */
export const fetchRetryFirstMs = 500
export const fetchRetryLongestMs = 30 * SECOND_MS
/** The same after bytes that did not hold: the content is named by its hash, so it hardly gets better. */
export const fetchRejectedRetryMs = 10 * MINUTE_MS
/** How long a run waits for a branch of its own that this node has lost and others still have. */
export const ownHeadTimeoutMs = 30 * SECOND_MS
/** Heads of one federation that are followed: every dataset of every member. */
export const followedHeadsMax = 100_000
/** A dataset's description is a sentence, in a record that every member holds. */
export const descriptionCharactersMax = 1_000
/** git child processes at once: more only fight over the disk. */
export const gitProcessesMax = 8
/** Branches that one member may announce in one dataset. */
export const branchesPerHeadMax = 64
/** Paths in a tree: longer ones do not fit the file systems of other members. */
export const pathBytesMax = 1_024
export const pathDepthMax = 64
/** One name of a path: the bound of ext4, APFS and NTFS alike. */
export const pathNameBytesMax = 255
export const treeEntriesMax = 1_000_000
/** A file that is read as a whole into memory; larger ones are written straight to the disk. */
export const blobBytesMax = 256 * MIB
/** Packs that isomorphic-git makes or indexes, which it does in memory. */
export const packInMemoryBytesMax = 256 * MIB
/** What one fetch may hold once it is unpacked: a pack of zeros is a thousand times smaller than its files. */
export const unpackedBytesMax = 64 * 1024 * MIB
/** What a git child process may say that is kept: listings of the largest tree that is allowed. */
export const gitOutputBytesMax = 512 * MIB
/** git processes waiting for their turn. */
export const gitProcessesWaitingMax = 10_000
/** One git process that neither sends nor receives a pack. */
export const gitTimeoutMs = 10 * MINUTE_MS

/** Runs that wait in the queue of one node. */
export const queuedRunsMax = 1_000
/** Steps of a pipeline. */
export const stepsMax = 50
/** Log bytes kept of one step; what a tool prints beyond is dropped, and the log says so. */
export const stepLogBytesMax = 8 * MIB
/** Transitions and reasons are short; a run's record stays small. */
export const reasonCharactersMax = 500
/** Runs remembered with their logs; the oldest ended ones make room. */
export const runsKeptMax = 5_000
/** One call to the container engine that only looks or tells: it answers in milliseconds or is stuck. */
export const engineCallTimeoutMs = 30 * SECOND_MS
/** Whether the engine answers at all. */
export const enginePingTimeoutMs = 5 * SECOND_MS
/** Making, starting or removing a container: a busy disk takes its time. */
export const containerChangeTimeoutMs = 2 * MINUTE_MS
/** A pull of one image: large ones over slow lines take long, but not for ever. */
export const imagePullTimeoutMs = 1 * HOUR_MS
/** Timers of the platform overflow beyond 2^31 - 1 ms and would fire at once. */
export const timerMaxMs = 2 ** 31 - 1
/** What a container has printed is read to the end for so long after it ended. */
export const logDrainTimeoutMs = 10 * SECOND_MS
/** A tool's own /tmp, in memory and so part of its memory limit. */
export const toolTmpBytesMax = 256 * MIB
/** How often the output of a step at work is measured: a fast disk takes a few gigabytes in that time. */
export const outputWatchIntervalMs = 1 * SECOND_MS
/** Disk space that steps leave to the node: below it, nobody could write down how a run ended. */
export const diskFreeBytesMin = 512 * MIB
/** A log line that one follower has not taken yet is read again from the file: this much at a time. */
export const logReadBytes = 64 * KIB
/** A scheduled run that was missed still runs this late; after that the next one is nearer. */
export const missedRunMaxMs = 18 * HOUR_MS
/** Longest sleep of the scheduler: a suspended machine or a changed clock is noticed after it. */
export const schedulerSleepMaxMs = 30 * SECOND_MS
/** Schedules of one federation that a node follows. */
export const schedulesMax = 1_000
/** A control file holds one number. */
export const controlFileBytesMax = 1 * KIB
/** Control files that a report shows. */
export const snapshotsMax = 10
/** Insights must fit a record beside its envelope. */
export const insightsBytesMax = 48 * KIB
/** The file of secrets: names and tokens, no data. */
export const secretsBytesMax = 1 * MIB
/** Shorter secrets stand in any large output by chance, so they are not searched for. */
export const secretSearchBytesMin = 4
/** A line of a secret of several lines that is long enough to be told from any other text. */
export const secretLineCharactersMin = 16
/** An output is searched for secrets this much at a time. */
export const secretSearchChunkBytes = 1 * MIB

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
/** Ballots that came so shortly before the cut-off may be missing from a closing: clocks and gossip differ by that much. */
export const cutoffMarginMs = 1 * SECOND_MS
/** The next member in line acts when the one before it was silent for so long. */
export const takeOverMs = 2 * SECOND_MS
/** Ballots of one member in one round that are kept; a second one is proof enough that it is no honest member. */
export const ballotsPerMemberMax = 2
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
/** Bytes and entries of one dataset that is imported through the API. */
export const importBytesMax = 64 * 1024 * MIB
export const importEntriesMax = treeEntriesMax
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

/** A request of an etcd client: etcd's own default, so that its clients meet no smaller one. */
export const etcdRequestBytesMax = 1.5 * MIB
/** Calls and watch streams of one connection at once. */
export const etcdStreamsPerConnectionMax = 1_000
/** Operations of one branch of a Txn: etcd's own default. */
export const etcdTxnOperationsMax = 128
/** Watches of one watch stream: a client with one stream has one for each thing that it follows. */
export const etcdWatchesPerStreamMax = 10_000
/** Answers of a watch stream, beside events, that wait for a slow client; one that asks on and reads nothing is cut off. */
export const etcdPendingResponsesMax = 10_000
/** Past events that one turn of a watch looks at; others have their turn in between. */
export const etcdWatchTurnEvents = 1_000
/** A response of past events is sent when it has grown to this; those of one revision stay together. */
export const etcdWatchResponseBytes = 1 * MIB
/** A larger response of a watch that asked for fragments is sent in pieces: etcd's own bound. */
export const etcdWatchFragmentBytesMax = 2 * MIB
/** How often a quiet watch that asked for it is told how far the node has come: etcd's own default. */
export const etcdProgressIntervalMs = 10 * MINUTE_MS
/** Keep-alives of one stream that wait for the disk; one that sends more than that is cut off. */
export const etcdKeepAlivesPendingMax = 1_000
/** Of a snapshot, one message: small beside what a client takes, large beside what each costs. */
export const etcdSnapshotChunkBytes = 64 * KIB
/** What calls in flight are given to end when the surface stops. */
export const etcdStopTimeoutMs = 2 * SECOND_MS
/** A larger value of a record is not told in an event, which is kept for those who come back; it is there to be read. */
export const eventValueBytesMax = 4 * KIB
/** A refused request is read on for so long, so that its sender, who still writes, comes to read why. */
export const refusedBodyTimeoutMs = 10 * SECOND_MS

/** Endpoints of the etcd cluster of strong mode: etcd itself advises seven members at most. */
export const clusterEndpointsMax = 16
/** One call to the cluster; a change of its leader takes a second or two. */
export const clusterCallTimeoutMs = 3 * SECOND_MS
/** One write, all attempts together: long enough for a change of the leader, short enough to be waited for. */
export const clusterWriteTimeoutMs = 8 * SECOND_MS
/** What a newcomer is given to read the whole registry from the cluster. */
export const clusterCatchUpTimeoutMs = 2 * MINUTE_MS
/** Between two attempts of one write. */
export const clusterAttemptPauseMs = 100
/** Records of one Txn: etcd allows 128 operations by default, and a record needs two where a Txn fails. */
export const clusterTxnRecordsMax = 60
/** Bytes of one Txn, below the 1.5 MiB that etcd takes by default. */
export const clusterTxnBytesMax = 1 * MIB
/** Records read in one page; with `recordBytesMax` a page stays below `clusterResponseBytesMax`. */
export const clusterPageRecordsMax = 500
/** One answer of the cluster. */
export const clusterResponseBytesMax = 40 * MIB
/** How often the cluster is asked whether it still has a quorum; a watch alone would not tell. */
export const clusterHeartbeatMs = 5 * SECOND_MS
/** Between two attempts to reach the cluster: from the first to the longest pause. */
export const clusterBackoffFirstMs = 100
export const clusterBackoffLongestMs = 5 * SECOND_MS
/** Records of the cluster that cannot be judged yet (their author's admission may follow), and their bytes. */
export const clusterWaitingMax = 10_000
export const clusterWaitingBytesMax = 64 * MIB
/** When they are judged again even though nothing new has come: a time that was ahead may have been reached. */
export const clusterWaitingRetryMs = 1 * MINUTE_MS
/** How often a member looks for records of its own that the cluster keeps in vain, or has lost. */
export const clusterUpkeepIntervalMs = 5 * SECOND_MS
/** Records that are taken out of the cluster, or put back, at one such look. */
export const clusterUpkeepMax = 1_000
/** Places of rubbish in the cluster that the log names. */
export const clusterRubbishToldMax = 1_000
/** A password: more is another file by mistake. */
export const clusterPasswordBytesMax = 4 * KIB

/** Leases of one node: each of its clients has one or two. */
export const leasesMax = 10_000
/** etcd's shortest lease (one and a half election timeouts, rounded up) and its longest. */
export const leaseTtlSecondsMin = 2
export const leaseTtlSecondsMax = 9_000_000_000
/** etcd looks for leases that are over as often. */
export const leaseSweepIntervalMs = 500
/** Works that go to the disk in one write. */
export const flushWorksMax = 1_024
/** Records that one sweep forgets; more wait for the next. */
export const sweptRecordsMax = 1_000
/** Changes of keys that stay to be watched and read as they were; the oldest make room. */
export const historyChangesMax = 200_000
/** The same in bytes, beside what is there now. */
export const historyBytesMax = 128 * MIB
/** How often old versions are dropped; each compaction is a write of its own. */
export const compactionIntervalMs = 1 * MINUTE_MS
/** Times that a write is tried again because a cluster has moved on in between. */
export const movedRetriesMax = 8

/** What the predecessor's tools write below /raw/ is meant for whoever listens at that moment. */
export const rawLifeMs = 60 * SECOND_MS

/** What may surround a request of `etcdRequestBytesMax`, as etcd counts it. */
export const etcdRequestOverheadBytes = 512 * KIB
/** Messages inside messages, such as a Txn inside a Txn: protobuf's own bound. */
export const etcdMessageDepthMax = 100
/** The same of JSON, whose arrays count too. */
export const etcdJsonDepthMax = 2 * etcdMessageDepthMax
/** A request of the JSON gateway: the largest message in base64, and as much again around it. */
export const etcdJsonBytesMax = 4 * MIB
/** Sockets of etcd clients open at once. */
export const etcdConnectionsMax = 1_024
/** A new connection says what it speaks in this time, and so does each request of HTTP/1.1 after its first byte. */
export const etcdFirstBytesTimeoutMs = 10 * SECOND_MS
/** The whole body of a request of the gateway that has one answer. */
export const etcdBodyTimeoutMs = 1 * MINUTE_MS
/** An HTTP/1.1 connection between two requests. */
export const etcdKeepAliveMs = 1 * MINUTE_MS
/** Metadata is a token and a few names. */
export const etcdHeaderBytesMax = 32 * KIB
export const etcdHeadersMax = 128
/** What one stream and one connection may have on the way to us: a large put in few round trips. */
export const etcdStreamWindowBytes = 256 * KIB
export const etcdConnectionWindowBytes = 2 * MIB
/** Parts of requests and unread answers held for one connection; beyond, its new calls are refused. */
export const etcdHeldBytesMax = 64 * MIB
/** The same of all connections together. */
export const etcdHeldBytesOverallMax = 256 * MIB
/** Calls that a client takes back: a burst, and so many a second after it. More is the rapid-reset attack. */
export const etcdResetsBurst = 1_000
export const etcdResetsPerSecond = 100
/** How often a connection is asked whether it lives; one that has not answered by the next time is cut. */
export const etcdPingIntervalMs = 30 * SECOND_MS

/** Names of authors and federations that are kept once for all their records. */
export const namesSharedMax = 10_000
