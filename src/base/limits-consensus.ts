/** Bounds of methods, audits and what else is agreed on; those of the rounds themselves are in limits.ts. */

/** A rule stands in the dataset's record, which has to stay small. */
export const ruleColumnsMax = 64
export const ruleFilePatternsMax = 16
export const ruleNameCharactersMax = 128
export const ruleStepsMax = 32

/** Beyond these a member would never be proven, and a proven one never looked after. */
export const adaptiveProvenMax = 1_000
export const adaptiveChecksMax = 1_000

/** Beyond so many units agreement is reported of a sample: its standard error is below a hundredth even at half of this. */
export const agreementUnitsMax = 20_000
/** Different values in that sample; with more of them it is halved. Each takes about 200 bytes. */
export const agreementCategoriesMax = 100_000
/** Longer values are told apart by their SHA-256, so that a unit of megabytes costs no more than another. */
export const agreementValueCharactersMax = 64

/** A file of entries is held whole while it is read; a larger one is compared byte for byte or not at all. */
export const entryFileBytesMax = 128 * 1024 * 1024
