/** How far from the rolling average the newest value may lie, in either direction (MAO.md, spike rule). */
export const SPIKE_PERCENT = 6
/** The newest value and the two before it. */
export const SNAPSHOTS_NEEDED = 3

/**
 * 106 against 100 is exactly 6 % and no spike, but 1.06 against 1 is 6.000000000000005 % in binary fractions. What is
 * nearer to the border than this share of the average counts as on it.
 */
const ROUNDING = 1e-9

export type Verdict = 'spike' | 'steady' | 'too-few-snapshots'

export interface Judgement {
  verdict: Verdict
  /** Mean of the two values before the newest. */
  rollingAverage?: number
  value?: number
  /** Value less rolling average. */
  difference?: number
  /** The difference in percent of the average's size; absent where the average is zero. */
  gainPercent?: number
}

/**
 * The predecessor's rule: with at least three values, the newest is compared with the mean of the two before it, and
 * more than 6 % above or below is a spike. Any departure from an average of zero is one.
 *
 * @param values oldest first, all finite.
 */
export function detectSpike(values: readonly number[]): Judgement {
  const [first, second, value] = values.slice(-SNAPSHOTS_NEEDED)
  if (first === undefined || second === undefined) {
    const newest = values.at(-1)
    return { verdict: 'too-few-snapshots', ...(newest === undefined ? {} : { value: newest }) }
  }
  if (value === undefined) return { verdict: 'too-few-snapshots', value: second }
  const rollingAverage = (first + second) / 2
  const difference = value - rollingAverage
  const size = Math.abs(rollingAverage)
  const beyond = Math.abs(difference) - (size * SPIKE_PERCENT) / 100 > size * ROUNDING
  return {
    verdict: beyond ? 'spike' : 'steady',
    rollingAverage,
    value,
    difference,
    ...(size === 0 ? {} : { gainPercent: (difference / size) * 100 }),
  }
}
