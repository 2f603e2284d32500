import { compared, figure, isBeyond, type Judgement, tooFew } from './judgement.ts'
import { isFlat, mean, median } from './statistics.ts'

export interface ModifiedZ {
  /** Values before the newest that it is compared with, the latest ones. */
  window: number
  /** Modified z-score, in either direction; 3.5 is what its authors recommend. */
  threshold: number
}

export const MODIFIED_Z_LEAST = 5
/** The 0.75 quantile of the standard normal distribution: makes MAD / 0.6745 estimate its standard deviation. */
const QUARTILE = 0.6745
/** sqrt(pi / 2): the same for the mean absolute deviation. */
const MEAN_DEVIATION = 1.253314

/**
 * The modified z-score 0.6745 (x - median) / MAD of `value` against a sample (B. Iglewicz, D. C. Hoaglin, How to Detect
 * and Handle Outliers, 1993). Where more than half of the sample is equal, and MAD so zero, the mean absolute
 * deviation from the median takes its place, (x - median) / (1.253314 MeanAD); undefined where that is zero too.
 */
export function modifiedZ(value: number, sample: readonly number[]): number | undefined {
  const centre = median(sample)
  const deviations = sample.map((other) => Math.abs(other - centre))
  const mad = median(deviations)
  if (!isFlat(mad, centre)) return (QUARTILE * (value - centre)) / mad
  const meanDeviation = mean(deviations)
  return isFlat(meanDeviation, centre) ? undefined : (value - centre) / (MEAN_DEVIATION * meanDeviation)
}

/**
 * The newest value by its modified z-score: outliers in the window neither hide another nor make one. Where the window
 * never moved, any departure is a spike.
 *
 * @param values oldest first, all finite.
 */
export function robustMad(values: readonly number[], { window, threshold }: ModifiedZ): Judgement {
  const detector = 'mad'
  const value = values.at(-1)
  const before = values.slice(0, -1).slice(-window)
  const least = Math.min(MODIFIED_Z_LEAST, window)
  if (value === undefined || before.length < least) return tooFew(detector, values, least + 1)
  const centre = median(before)
  const told = { detector, threshold, ...compared(value, centre) }
  const of = `the ${before.length} values before it (median ${figure(centre)})`
  const score = modifiedZ(value, before)
  if (score === undefined) {
    const moved = isBeyond(Math.abs(value - centre), 0, centre)
    const why = `${figure(value)} ${moved ? 'departs from' : 'equals'} ${of}, which never moved`
    return { verdict: moved ? 'spike' : 'steady', ...told, why }
  }
  const why = `${figure(value)} has a modified z-score of ${figure(score)} among ${of}; ${threshold} is allowed`
  return { verdict: isBeyond(Math.abs(score), threshold) ? 'spike' : 'steady', ...told, score, why }
}
