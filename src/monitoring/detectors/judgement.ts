export type Verdict = 'spike' | 'steady' | 'too-few-snapshots'

/** What a detector says of the newest value of a series. */
export interface Judgement {
  verdict: Verdict
  /** Which rule judged. Absent in reports of earlier versions: `rolling-average`. */
  detector?: string
  /** The rule, its figures and what they came to, in a sentence. */
  why?: string
  /** What the rule compared the value with. For `rolling-average` the mean of the two values before the newest. */
  rollingAverage?: number
  value?: number
  /** Value less what it was compared with. */
  difference?: number
  /** The difference in percent of that; absent where it is zero. */
  gainPercent?: number
  /** How far the value lies out, in the detector's own unit, and from where on it would be a spike. */
  score?: number
  threshold?: number
}

/**
 * What is nearer to a border than this share of it counts as on it: 1.06 against 1 is 6.000000000000005 % in binary
 * fractions, and no spike.
 */
const ROUNDING = 1e-9

/** Whether `size` is truly beyond `border`, both not negative. */
export function isBeyond(size: number, border: number, scale = border): boolean {
  return size - border > Math.abs(scale) * ROUNDING
}

/** Less than the least that a detector can judge. */
export function tooFew(detector: string, values: readonly number[], needed: number): Judgement {
  const value = values.at(-1)
  const why = `${detector} needs ${needed} snapshots and there are ${values.length}`
  return { verdict: 'too-few-snapshots', detector, why, ...(value === undefined ? {} : { value }) }
}

/** The parts of a judgement that follow from what was expected and what came. */
export function compared(value: number, expected: number) {
  const difference = value - expected
  const size = Math.abs(expected)
  const gain = size === 0 ? {} : { gainPercent: (difference / size) * 100 }
  return { value, rollingAverage: expected, difference, ...gain }
}

/** A figure as people read it: six significant digits are enough to check the rule by hand. */
export function figure(value: number): string {
  return String(Number(value.toPrecision(6)))
}
