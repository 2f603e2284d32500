import { compared, figure, isBeyond, type Judgement, tooFew } from './judgement.ts'
import { isFlat, mean, standardDeviation } from './statistics.ts'

export interface Ewma {
  /** The weight of the newest value, between 0 and 1: the smaller, the slower drifts are seen. */
  lambda: number
  /** Control limits, in standard deviations of the average. */
  limit: number
  /** Values of which the newest is one. */
  window: number
}

export const EWMA_LEAST = 5

/** One point of the chart: the average after a value, and how far it may lie from the target then. */
export interface EwmaPoint {
  average: number
  allowed: number
}

/**
 * The exponentially weighted moving average z(t) = lambda x(t) + (1 - lambda) z(t-1) with its control limits
 * L sigma sqrt(lambda / (2 - lambda) (1 - (1 - lambda)^2t)) about the target (S. W. Roberts, Technometrics 1, 1959;
 * NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.4).
 *
 * @param values oldest first.
 */
export function ewmaChart(
  values: readonly number[],
  p: { target: number; sigma: number; lambda: number; limit: number },
): EwmaPoint[] {
  const { target, sigma, lambda, limit } = p
  let average = target
  return values.map((value, index) => {
    average = lambda * value + (1 - lambda) * average
    const settled = 1 - (1 - lambda) ** (2 * (index + 1))
    return { average, allowed: limit * sigma * Math.sqrt((lambda / (2 - lambda)) * settled) }
  })
}

/**
 * Whether the average after the newest value has left its limits. Target and sigma are the mean and the standard
 * deviation of the values before the newest: a drift is seen that no single value would show.
 *
 * @param values oldest first, all finite.
 */
export function ewma(values: readonly number[], { lambda, limit, window }: Ewma): Judgement {
  const detector = 'ewma'
  const seen = values.slice(-window)
  const value = seen.at(-1)
  if (value === undefined || seen.length <= EWMA_LEAST) return tooFew(detector, values, EWMA_LEAST + 1)
  const before = seen.slice(0, -1)
  const [target, sigma] = [mean(before), standardDeviation(before)]
  const { average, allowed } = ewmaChart(seen, { target, sigma, lambda, limit }).at(-1) as EwmaPoint
  const told = { detector, threshold: allowed, ...compared(value, target), score: average - target }
  const out = isFlat(sigma, target)
    ? isBeyond(Math.abs(value - target), 0, target)
    : isBeyond(Math.abs(average - target), allowed)
  const why = `the weighted average came to ${figure(average)} with ${figure(value)}; from the mean ${figure(target)} of the ${before.length} values before it may depart by ${figure(allowed)}`
  return { verdict: out ? 'spike' : 'steady', ...told, why }
}
