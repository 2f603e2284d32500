/** Bounds of datasets: what peers may send, what is kept of it, and what git may take. */
import { KIB, MIB, MINUTE_MS, SECOND_MS } from './units.ts'

/**
 * One fetch of a dataset: what a peer may send us before we hang up. It is what an import may found, so that whatever is
 * shared can be copied; the quota and the disk, which are looked at while bytes arrive, are the nearer bounds.
 */
export const packBytesMax = 64 * 1024 * MIB
export const packObjectsMax = 5_000_000
/** One fetch from first byte to moved refs: the largest pack at 5 MB/s. One that is slower than slow ends sooner. */
export const fetchTimeoutMs = 240 * MINUTE_MS
/** Attempts at one head, each at another member where one has it. */
export const fetchAttemptsMax = 5
/** Members that are dialled for one fetch since nobody who is connected has it. */
export const fetchDialledMax = 3
/** Requests for one head's commits, or some of them, where one is at fault: enough to find three in the largest head. */
export const fetchHalvesMax = 32
/** Transfers that this node serves at once, to all and to one member; a member that is refused tries another. */
export const transfersServedMax = 16
export const transfersPerPeerMax = 4
/** Fetches of this node's own at once. */
export const fetchesMax = 8
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
/** Of these, results that others had made here: whatever they ask for, a member's own steps have room. */
export const branchesForOthersMax = 32
export const branchesForMemberMax = 16
/** Paths in a tree: longer ones do not fit the file systems of other members. */
export const pathBytesMax = 1_024
export const pathDepthMax = 64
/** One name of a path: the bound of ext4, APFS and NTFS alike. */
export const pathNameBytesMax = 255
export const treeEntriesMax = 1_000_000
/** A file that is read as a whole into memory; larger ones are written straight to the disk. */
export const blobBytesMax = 256 * MIB
/** Packs that a node without git makes or takes; one that is taken is held in memory until it is taken apart. */
export const packInMemoryBytesMax = 256 * MIB
/** What one fetch may hold once it is unpacked: a pack of zeros is a thousand times smaller than its files. */
export const unpackedBytesMax = 256 * 1024 * MIB
/** What a git child process may say that is kept: listings of the largest tree that is allowed. */
export const gitOutputBytesMax = 512 * MIB
/** git processes waiting for their turn. */
export const gitProcessesWaitingMax = 10_000
/** One git process that neither sends nor receives a pack. */
export const gitTimeoutMs = 10 * MINUTE_MS
/** Bytes and entries of one dataset that is imported through the API. */
export const importBytesMax = 64 * 1024 * MIB
export const importEntriesMax = treeEntriesMax
/** Problems that one check of a repository tells: the first ones say what to do as well as all of them. */
export const problemsMax = 1_000
/** Files of datasets that are streamed to clients at once, each from a git process of its own. */
export const blobStreamsMax = 32
/** How long an archive that is being read waits for its reader, ms. */
export const archiveIdleMs = 10 * MINUTE_MS
/** What an archive may have unpacked: its files, and what the format says of each. */
export const archiveBytesMax = importBytesMax + 2 * KIB * importEntriesMax
/** The header of a git bundle: one reference, and what is said of it. */
export const bundleHeaderBytesMax = 16 * KIB
/** Files of a directory that are looked at together. */
export const filesLookedAtOnceMax = 64
/** Checkouts that are made at once, and runs that wait for theirs. */
export const checkoutsMadeAtOnceMax = 2
export const checkoutsWaitingMax = 1_000
/** The address of an upstream and its branch, in a record that every member holds. */
export const upstreamUrlCharactersMax = 1_000
export const upstreamBranchCharactersMax = 200
/** One pull or push, from the first byte to the moved branch. */
export const upstreamTimeoutMs = 30 * MINUTE_MS
/** Pulls and pushes of this node at once, and those that wait for them; of one dataset one after another. */
export const upstreamCallsMax = 2
export const upstreamCallsWaitingMax = 64
/** How often an upstream may be followed; and the longest pause after failures. */
export const upstreamIntervalMinMs = 10 * SECOND_MS
export const upstreamIntervalMaxMs = 30 * 24 * 60 * MINUTE_MS
export const upstreamPauseMaxMs = 6 * 60 * MINUTE_MS
/** How often what arrives from an upstream is measured: a fast line brings some hundred megabytes in that time. */
export const arrivalLookIntervalMs = 200
/** Connecting to an ssh server, and hearing its keys. */
export const sshConnectTimeoutMs = 10 * SECOND_MS
/** Private keys that are offered; servers hang up after about six that do not fit. */
export const sshKeysMax = 5
/** Keys of one host that are looked at; and the file of all hosts. */
export const hostKeysMax = 8
export const knownHostsBytesMax = 4 * MIB
/** The file of credentials, and that of authorities. */
export const credentialsBytesMax = 4 * MIB
/** Downloads of the command line: from one address to the next, to the first byte, and between two of them. */
export const downloadRedirectsMax = 5
export const downloadSilenceMs = 1 * MINUTE_MS
/** What is read of a file to tell what it is: more than one block of any compression. */
export const sourceHeadBytes = 160 * KIB
/** One side of a file that is compared by rows or values; larger ones are compared as a whole. */
export const diffFileBytesMax = 64 * MIB
/** The same of JSON, which takes many times its size in memory. */
export const diffJsonBytesMax = 32 * MIB
/** Rows, columns of a list of objects, and cells of one side that is compared by rows. */
export const diffRowsMax = 1_000_000
export const diffColumnsMax = 1_000
export const diffCellsMax = 10_000_000
/** One row of CSV. */
export const diffRowBytesMax = MIB
/** Levels of a JSON document. */
export const diffDepthMax = 256
/** Text that is compared by lines: its characters, the lines that differ, and how long it may take. */
export const diffTextBytesMax = 8 * MIB
export const diffEditsMax = 2_000
export const diffLinesTimeoutMs = 5 * SECOND_MS
/** The thread that compares: its memory, and the time for all files of one diff. */
export const diffHeapMib = 1_536
export const diffTimeoutMs = 60 * SECOND_MS
/** Diffs that are worked out at once, and those that wait; files from this size on, both sides together, come one by one. */
export const diffLargeBytes = 16 * MIB
export const diffsAtOnceMax = 2
export const diffsWaitingMax = 32
/** What one diff reads and tells: bytes of both sides, files by content, files, characters of one value, cells of a row. */
export const diffBytesReadMax = 512 * MIB
export const diffFilesComparedMax = 500
export const diffFilesToldMax = 1_000
export const diffCellCharactersToldMax = 500
export const diffCellsToldMax = 50
export const diffRowsToldMax = 2_000
/** Of a tree in which two members differ, files named in its one sentence. */
export const diffFilesInSentenceMax = 3
/** Requests of git clients that read, answered at once; each is a process. */
export const gitReadsServedMax = 8
/** Pushes taken at once, and waiting: each may bring a pack that is indexed on every core. */
export const pushesTakenMax = 2
export const pushesWaitingMax = 16
/** One push from its first byte to its report, and how long may pass in it without a byte. */
export const pushTimeoutMs = 60 * MINUTE_MS
export const pushIdleMaxMs = 1 * MINUTE_MS
/** A client that does not take what it asked for is let go, so that its place is free. */
export const gitReaderIdleMaxMs = 5 * MINUTE_MS
/** What is still read of a push that was refused, so that its client hears why. */
export const pushDrainedBytesMax = 4 * 1024 * MIB
/** Refs that one push may name, and the bytes of a ref. */
export const pushCommandsMax = 1_000
export const pushRefBytesMax = 1_024
/** A word on the line while a push is being checked, so that neither side nor a proxy takes it for dead. */
export const pushWordIntervalMs = 5 * SECOND_MS
/** Branches that are looked through for a commit, and commits of each for the beginning of an id. */
export const revisionBranchesMax = 256
export const prefixCommitsMax = 1_000
/** Entries of one page of a listing. */
export const listedEntriesMax = 10_000
/** Archives that are made for clients at once, each from a git process of its own. */
export const archivesAtOnceMax = 2
export const archivesWaitingMax = 16
/** How long the command line waits for work on a dataset: fetching, checking or packing a large one. */
export const clientWorkTimeoutMs = 120 * MINUTE_MS
