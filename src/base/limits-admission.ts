/** Bounds of what is let into a dataset: objects, their shapes, and what is remembered of them. */
import { MIB } from './units.ts'

/** One file of a dataset. Without the git program `blobBytesMax` comes first. */
export const fileBytesMax = 4 * 1024 * MIB
/** One commit with its message, and one directory: both are read whole. */
export const commitBytesMax = 1 * MIB
export const treeBytesMax = 64 * MIB
/** Directories whose depth is remembered, so that what refers to them is judged without reading them again. */
export const treeShapesKeptMax = 200_000
/** One piece of memory of git while it takes what a stranger sends: stock git makes no delta of files above 512 MiB. */
export const gitAllocationMax = 640 * MIB
/** Objects of one pack, and links between deltas, where both are kept in memory for want of the git program. */
export const packInMemoryObjectsMax = 1_000_000
/** Files of a directory that is stored: smaller ones are read whole and packed together, larger ones go one by one. */
export const smallFileBytesMax = 32 * MIB
/** Objects that are rather stored one by one: a pack of their own would only have to be joined again. */
export const looseIngestMax = 16
/** Bytes of one pack of such files before compression. Without git a pack has to fit memory when it is read. */
export const ingestPackBytesMax = 192 * MIB
/** Files that are read, hashed and compressed together. */
export const filesReadAtOnceMax = 32
export const filesReadBytesMax = 64 * MIB
