/** Methods that look into files, as counting uses them. */
export { isEntryFile } from './entry-files.ts'
export { inspectFile } from './inspect-file.ts'
export { mergeFile } from './merge-file.ts'
export { type WeightedVerdict, weightedMajority } from './weights.ts'
