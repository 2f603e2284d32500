/** Bounds of methods, audits and what else is agreed on; those of the rounds themselves are in limits.ts. */

/** A rule stands in the dataset's record, which has to stay small. */
export const ruleColumnsMax = 64
export const ruleFilePatternsMax = 16
export const ruleNameCharactersMax = 128
export const ruleStepsMax = 32
/** Of a file that holds a rule; the record that it goes into has room for as much. */
export const ruleFileBytesMax = 65_536

/** Beyond these a member would never be proven, and a proven one never looked after. */
export const adaptiveProvenMax = 1_000
export const adaptiveChecksMax = 1_000

/** A file of entries is held whole while it is read; a larger one is compared byte for byte or not at all. */
export const entryFileBytesMax = 128 * 1024 * 1024
/** All files with entries of one ballot: half a minute of looking into them, on a small machine. */
export const ballotEntryBytesMax = 1024 * 1024 * 1024
/**
 * Merging holds one version, what it writes, and a part of all versions at a time: some four times a version. What is
 * beyond these is another kind of thing than a table that people compare.
 */
export const entriesMax = 2_000_000
export const entryBytesMax = 1024 * 1024
export const entryColumnsMax = 1_024
export const entryCellsMax = 50_000_000
/** JSON that is one value is read as a whole, as text, which takes several times its bytes. */
export const jsonFileBytesMax = 32 * 1024 * 1024
export const jsonDepthMax = 64
/** Of more entries the estimation of labels (EM) would take longer than a round waits. */
export const labelEntriesMax = 20_000
export const labelFileBytesMax = 8 * 1024 * 1024
/** A confusion matrix is as large as the square of this, for every member. */
export const labelKindsMax = 64
/** Names of entries that are shown of those that are contested or differ, and their length. */
export const entriesShownMax = 20
export const entryNameCharactersMax = 128
export const methodNotesMax = 200
/** Entries are merged part by part, so that of 64 versions of the largest size some 100 MiB are held at once. */
export const mergePartsMax = 128
/** Entries are gathered so far before they are written, for each part; all parts stay in memory below the second. */
export const mergeChunkBytes = 64 * 1024
export const mergeInMemoryBytes = 16 * 1024 * 1024
/** Of the paths and files of a round's report, so many are named; the rest is counted. */
export const reportPathsMax = 100
export const reportFilesMax = 50
/** Rounds whose findings are kept, so that looking at one again costs nothing. */
export const reportsKeptMax = 32
/** Of files and entries that a person chooses for one ballot: each is named in its commit. */
export const handChoicesMax = 500
/** Ballots that people cast at once wait for each other, so that none is cast twice. */
export const handBallotsWaitingMax = 20
/** What this node will not sign and why: kept for so many rounds, the oldest go first, and so many reasons of each. */
export const refusedRoundsMax = 200
export const refusalsPerRoundMax = 10
/** Of each dataset, what is kept of the trees that were listed for rounds: some 30 MB; and which tree commits have. */
export const listedFilesMax = 150_000
export const listedCommitsMax = 1_000
