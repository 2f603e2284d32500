/** The few statistics that the detectors share, on values that are all finite and at least one. Pure. */

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value / values.length, 0)
}

/** Of the sample (n - 1); zero for a single value. */
export function standardDeviation(values: readonly number[]): number {
  if (values.length < 2) return 0
  const centre = mean(values)
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0)
  return Math.sqrt(squares / (values.length - 1))
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

/** A series that never moved has a spread of nothing but the rounding of its own mean. */
export function isFlat(spread: number, centre: number): boolean {
  return spread <= Math.abs(centre) * 1e-12
}
