import { compared, figure, isBeyond, type Judgement, tooFew } from './judgement.ts'
import { MODIFIED_Z_LEAST, modifiedZ } from './modified-z.ts'

export interface Seasonal {
  /** Snapshots from one to the next of the same phase: 7 for daily ones with a weekly rhythm. */
  period: number
  /** Periods that are looked at. */
  cycles: number
  /** Modified z-score of the change since the same phase, in either direction. */
  threshold: number
}

/** How many snapshots it needs before it can judge: one period, and changes to compare with. */
export function seasonalLeast({ period }: Pick<Seasonal, 'period'>): number {
  return period + MODIFIED_Z_LEAST + 1
}

/**
 * The newest value against that of the same phase one period before (the seasonal naive forecast; R. J. Hyndman, G.
 * Athanasopoulos, Forecasting: Principles and Practice, 5.2): its residual is judged by its modified z-score among the
 * residuals of the values before it. Where those were all equal, any other residual is a spike.
 *
 * @param values oldest first, all finite.
 */
export function seasonal(values: readonly number[], { period, cycles, threshold }: Seasonal): Judgement {
  const detector = 'seasonal'
  const needed = seasonalLeast({ period })
  const seen = values.slice(-(period * cycles + 1))
  const value = seen.at(-1)
  const expected = seen.at(-1 - period)
  if (value === undefined || expected === undefined || seen.length < needed) {
    return tooFew(detector, values, needed)
  }
  const residuals = seen.slice(period).map((later, index) => later - (seen[index] as number))
  const newest = residuals.at(-1) as number
  const before = residuals.slice(0, -1)
  const told = { detector, threshold, ...compared(value, expected) }
  const change = `${figure(value)} is ${figure(newest)} away from ${figure(expected)}, one period of ${period} before`
  const score = modifiedZ(newest, before)
  if (score === undefined) {
    const usual = before[0] as number
    const moved = isBeyond(Math.abs(newest - usual), 0, Math.max(Math.abs(value), Math.abs(expected)))
    const why = `${change}; the ${before.length} changes before were all ${figure(usual)}`
    return { verdict: moved ? 'spike' : 'steady', ...told, why }
  }
  const why = `${change}; among the ${before.length} changes before that has a modified z-score of ${figure(score)}, and ${threshold} is allowed`
  return { verdict: isBeyond(Math.abs(score), threshold) ? 'spike' : 'steady', ...told, score, why }
}
