/**
 * True classes and observers' error rates from labels that disagree: the EM algorithm of Dawid & Skene, "Maximum
 * Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", Applied Statistics 28(1), 1979, 20–28.
 *
 * Each item has one true class, unknown; each rater labels items of class j as l with a probability of its own (its
 * confusion matrix). From the fractions of votes on, the two are estimated by turns until they settle. As in the paper
 * nothing is smoothed: what was never seen has probability zero and stays so, and classes that nobody named stay empty.
 *
 * Every node has to find the same labels, so nothing but + − × ÷ and comparisons, which IEEE 754 rounds in one way, has
 * a part in them: products are scaled by powers of two instead of being added up as logarithms. Posteriors are rounded
 * to multiples of 2^-32, which makes all sums over items exact: the order in which labels are given changes nothing, and
 * what is a tie by symmetry is one to the last bit. The log-likelihood is reported, and decides nothing.
 */
import { setImmediate } from 'node:timers/promises'
import { LabelEstimate } from './label-estimate.ts'
import type { DawidSkene, DawidSkeneOptions, Label, Sizes } from './labels.ts'

export type { DawidSkene, DawidSkeneOptions, Label, Sizes }

/** @throws NodeError INVALID_INPUT for what lies outside of `sizes`, TOO_LARGE */
export function dawidSkene(
  labels: readonly Label[],
  sizes: Sizes,
  options: DawidSkeneOptions = {},
): DawidSkene {
  const estimate = new LabelEstimate(labels, sizes, options)
  const slices = estimate.run()
  let slice = slices.next()
  while (!slice.done) slice = slices.next()
  return estimate.result()
}

/** The same, letting others have their turn every few ten milliseconds. @throws NodeError as above; the signal's reason */
export async function dawidSkeneInTurns(
  labels: readonly Label[],
  sizes: Sizes,
  options: DawidSkeneOptions & { readonly signal?: AbortSignal | undefined } = {},
): Promise<DawidSkene> {
  const estimate = new LabelEstimate(labels, sizes, options)
  for (const _ of estimate.run()) {
    await setImmediate()
    options.signal?.throwIfAborted()
  }
  return estimate.result()
}
