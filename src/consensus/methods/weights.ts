/** Majorities of weights. Weights are whole millionths, so that sums are exact and a tie is a tie in every order. */

/** A ballot's weight is at least nothing and at most this. */
export const WEIGHT_MAX = 1_000_000
const PARTS = 1_000_000

/** What `weight` counts as; what is no number counts nothing. */
export function wholeWeight(weight: number): number {
  if (!(weight > 0)) return 0
  return Math.floor(Math.min(weight, WEIGHT_MAX) * PARTS + 0.5)
}

/** True when `weight` is strictly more than half of `total`; both in whole millionths. */
export function isMajority(weight: number, total: number): boolean {
  return 2 * weight > total
}

/** What holds more than half of the weight; `undefined` stands for absence where that is what is held. */
export type WeightedVerdict =
  | { readonly agreed: true; readonly held: string | undefined }
  | { readonly agreed: false }

/** @param votes what each ballot holds, an id or nothing, and what the ballot weighs (a number as rules give it). */
export function weightedMajority(
  votes: Iterable<{ readonly held: string | undefined; readonly weight: number }>,
): WeightedVerdict {
  const sums = new Map<string | undefined, number>()
  let total = 0
  for (const { held, weight } of votes) {
    const whole = wholeWeight(weight)
    total += whole
    sums.set(held, (sums.get(held) ?? 0) + whole)
  }
  for (const [held, sum] of sums) if (isMajority(sum, total)) return { agreed: true, held }
  return { agreed: false }
}
