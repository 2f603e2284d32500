/** How far several raters agree, beyond what chance would give. */

/** How far apart two ratings are: any two unequal ones alike, by rank, or by the square of their difference. */
export type Level = 'nominal' | 'ordinal' | 'interval'

export interface Agreement {
  readonly level: Level
  /** Units (files, rows, cells) that at least two raters rated. */
  readonly units: number
  readonly raters: number
  /** Pairs of ratings of one unit that are equal, of all such pairs; 0 to 1. Undefined without a pair. */
  readonly percent: number | undefined
  /** Fleiss 1971, over the units that every rater rated; undefined where it is (no such unit, or no variation at all). */
  readonly fleissKappa: number | undefined
  /** Krippendorff 2004; ratings may be missing. Undefined where no two ratings could ever differ. */
  readonly krippendorffAlpha: number | undefined
  /** True when only a sample of the units was looked at, since there are so many. */
  readonly sampled: boolean
}
