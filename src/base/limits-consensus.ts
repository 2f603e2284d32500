/** Bounds of methods, audits and what else is agreed on; those of the rounds themselves are in limits.ts. */

/** A rule stands in the dataset's record, which has to stay small. */
export const ruleColumnsMax = 64
export const ruleFilePatternsMax = 16
export const ruleNameCharactersMax = 128
export const ruleStepsMax = 32

/** Beyond these a member would never be proven, and a proven one never looked after. */
export const adaptiveProvenMax = 1_000
export const adaptiveChecksMax = 1_000
