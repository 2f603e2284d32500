/** The bounds of the registry: of records, of what is kept of them, and of their catch-up; see limits.ts. */
import { DAY_MS, HOUR_MS, KIB, MIB, MINUTE_MS, SECOND_MS } from './units.ts'

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
/** Catch-up: peers compare digests at every connect and at this interval. */
export const syncIntervalMs = 1 * MINUTE_MS
/** Records of one catch-up that are gossiped on; after a long absence others catch up by themselves. */
export const syncRelayedMax = 256
/** After a connect, gossip between the two needs a moment to begin; a second pull brings what was said in it. */
export const syncSettleMs = 1 * SECOND_MS
/** As often it is put off for a peer that is itself still pulling; the interval comes anyway. */
export const syncSettlesMax = 60
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
/** Members that are pulled from beside one whose gossip comes too fast; each that has nothing new costs one question. */
export const syncBesideMax = 4
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
/** Digests of ranges that are kept until the next change: those that every catch-up asks for, and some answers' worth. */
export const digestsCachedMax = 1_024
/** What is done at once of an answer: short beside all that a node has to do in time, long beside a turn of its loop. */
export const syncSliceMs = 2
/** Questions of one peer that wait for their answers: one for each of its streams, and as many of streams just cut. */
export const syncQuestionsPerPeerMax = 16
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
/** Up to here a claim to a name counts. */
export const versionCountedMax = 2 ** 39
/** Versions of others that a writer goes above: half of the way to where it would not count any more. */
export const versionFollowedMax = 2 ** 38
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
export const movedRetriesMax = 24
/** What the predecessor's tools write below /raw/ is meant for whoever listens at that moment. */
export const rawLifeMs = 60 * SECOND_MS
/** Names of authors and federations that are kept once for all their records. */
export const namesSharedMax = 10_000

/** Compactions that wait for their turn; each is as good as the next. */
export const compactionsWaitingMax = 4
/** Own records that ran out lately, whose versions are remembered for the sake of slower clocks. */
export const versionFloorsMax = 100_000
