/** The bounds towards etcd's clients, and towards an etcd cluster in strong mode; see limits.ts. */
import { KIB, MIB, MINUTE_MS, SECOND_MS } from './units.ts'

/** A request of an etcd client: etcd's own default, so that its clients meet no smaller one. */
export const etcdRequestBytesMax = 1.5 * MIB
/** Calls and watch streams of one connection at once. */
export const etcdStreamsPerConnectionMax = 1_000
/** Operations of one branch of a Txn: etcd's own default. */
export const etcdTxnOperationsMax = 128
/** Keys that one Txn looks at, some tenths of a second in which nobody else is served; no store has many more. */
export const etcdTxnKeysMax = 1_000_000
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
/** Local keys of a node with their values, as they stand: its clients' own, kept in memory, and nobody else's to bound. */
export const localBytesMax = 512 * MIB
/** Leases without keys that one write through the API takes back: it grants them, and this is one write to the disk. */
export const leasesReleasedMax = 1_000
/** Of a snapshot, one message: small beside what a client takes, large beside what each costs. */
export const etcdSnapshotChunkBytes = 64 * KIB
/** What calls in flight are given to end when the surface stops. */
export const etcdStopTimeoutMs = 2 * SECOND_MS
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
/** Where they hold that much, a connection that holds less than this is served on: all of them together hold as much again. */
export const etcdHeldBytesSpared = etcdHeldBytesOverallMax / etcdConnectionsMax
/** Calls that a client takes back: a burst, and so many a second after it. More is the rapid-reset attack. */
export const etcdResetsBurst = 1_000
export const etcdResetsPerSecond = 100
/** How often a connection is asked whether it lives; one that has not answered by the next time is cut. */
export const etcdPingIntervalMs = 30 * SECOND_MS
