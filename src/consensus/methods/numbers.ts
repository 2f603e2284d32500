/** Pure arithmetic of method `numeric`. Doubles, and of their operations those that IEEE 754 rounds in one way. */

export interface Tolerance {
  readonly absolute?: number | undefined
  readonly relative?: number | undefined
}

/** The median that is one of the values: of an even count the lower of the two in the middle. @param sorted not empty. */
export function lowerMedian<T>(sorted: readonly T[]): T {
  return sorted[(sorted.length - 1) >> 1] as T
}

/** The usual median: of an even count half of the sum of the two in the middle. @param values not empty. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  // Halves first: the sum of two large ones may be beyond what a double holds.
  return sorted.length % 2 === 1 ? upper : (sorted[middle - 1] as number) / 2 + upper / 2
}

/** How far from the median a value may lie: the wider of both bounds, nothing without any. */
export function reach(middle: number, { absolute = 0, relative = 0 }: Tolerance): number {
  return Math.max(absolute, relative * Math.abs(middle))
}

/** Makes the MAD of normally distributed values their standard deviation. */
export const MAD_SCALE = 1.4826
/** Leys et al. call three deviations very conservative, and advise to say which number was taken. */
export const MAD_DEVIATIONS = 3

/**
 * How far from the median a value may lie that is no outlier: three times the median absolute deviation, scaled by 1.4826
 * (Leys, Ley, Klein, Bernard & Licata, "Detecting outliers: Do not use standard deviation around the mean, use absolute
 * deviation around the median", Journal of Experimental Social Psychology 49(4), 2013, 764–766).
 *
 * @param values not empty.
 */
export function outlierReach(values: readonly number[]): { readonly middle: number; readonly reach: number } {
  const middle = median(values)
  const deviations = values.map((value) => Math.abs(value - middle))
  return { middle, reach: MAD_DEVIATIONS * (MAD_SCALE * median(deviations)) }
}
