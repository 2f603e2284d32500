import { compared, figure, isBeyond, type Judgement, tooFew } from './judgement.ts'
import { isFlat, mean, standardDeviation } from './statistics.ts'

export interface RollingZ {
  /** Values before the newest that it is compared with, the latest ones. */
  window: number
  /** Standard deviations from their mean, in either direction. */
  threshold: number
}

/** Fewer values than this have no spread to speak of. */
export const ROLLING_Z_LEAST = 5

/**
 * The z-score of the newest value against the mean and the sample standard deviation of the window before it (a Shewhart
 * chart for individual values; W. A. Shewhart, Economic Control of Quality of Manufactured Product, 1931). Where the
 * window never moved, any departure is a spike.
 *
 * @param values oldest first, all finite.
 */
export function rollingZ(values: readonly number[], { window, threshold }: RollingZ): Judgement {
  const detector = 'rolling-z'
  const value = values.at(-1)
  const before = values.slice(0, -1).slice(-window)
  const least = Math.min(ROLLING_Z_LEAST, window)
  if (value === undefined || before.length < least) return tooFew(detector, values, least + 1)
  const centre = mean(before)
  const spread = standardDeviation(before)
  const told = { detector, threshold, ...compared(value, centre) }
  const of = `the ${before.length} values before it (mean ${figure(centre)}, standard deviation ${figure(spread)})`
  if (isFlat(spread, centre)) {
    const moved = isBeyond(Math.abs(value - centre), 0, centre)
    const why = `${figure(value)} ${moved ? 'departs from' : 'equals'} ${of}, which never moved`
    return { verdict: moved ? 'spike' : 'steady', ...told, why }
  }
  const score = (value - centre) / spread
  const beyond = isBeyond(Math.abs(score), threshold)
  const why = `${figure(value)} lies ${figure(score)} standard deviations from ${of}; ${threshold} are allowed`
  return { verdict: beyond ? 'spike' : 'steady', ...told, score, why }
}
