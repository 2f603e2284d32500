/** Bounds of statistics and of members' reliability (src/consensus/statistics, src/consensus/reliability). */

/** Beyond so many units agreement is reported of a sample: its standard error is below a hundredth even at half of this. */
export const agreementUnitsMax = 20_000
/** Different values in that sample; with more of them it is halved. Each takes about 200 bytes. */
export const agreementCategoriesMax = 100_000
/** Longer values are told apart by their SHA-256, so that a unit of megabytes costs no more than another. */
export const agreementValueCharactersMax = 64

/** Posteriors are multiples of 2^-32: sums of so many of them are exact, in whatever order (dawid-skene.ts). */
export const dawidSkeneLabelsMax = 2 ** 21
/** Posteriors (items × classes), and shares in confusion matrices (raters × classes²): 64 MB each. */
export const dawidSkeneCellsMax = 8_000_000
/** The 45 patients of 1979 take fewer than 100. */
export const dawidSkeneIterationsMax = 1_000
/** Labels × classes × iterations of all columns of a file together; some twenty seconds of one core. */
export const dawidSkeneWorkMax = 2_000_000_000

/** Past results that are read for members' reliability, each one commit. */
export const reliabilityHistoryMax = 1_000
/** The last so many that say something of a member: who has become better or worse is soon known by the new way. */
export const reliabilityRoundsMax = 100
/** Weights are in thousandths. */
export const reliabilityWeightMax = 1_000
export const reliabilityDifferencesShownMax = 10
/** A result's message with a full electorate's ballots has some 14,000. */
export const resultMessageCharactersMax = 32_768
/** Rounds on truths that came before the present one are judged as well; so many more results are read for their sake. */
export const reliabilityParentsMax = 64
/** Datasets whose history is held in memory, some 15 MB at most; the least recently read one is read again when it is asked for. */
export const reliabilityDatasetsMax = 16
/** Terms of rounds that were worked out; each is small, and the same is asked for many times in one look. */
export const reliabilityTermsMax = 64
/** So many proven members are waited for, one after the other, before everybody does the work. */
export const provenInLineMax = 3
/** Steps of datasets whose members' reliability is told in one answer. */
export const reliabilityStepsShownMax = 100
