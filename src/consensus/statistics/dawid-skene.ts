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
import { NodeError } from '../../base/errors.ts'
import {
  dawidSkeneCellsMax,
  dawidSkeneIterationsMax,
  dawidSkeneLabelsMax,
  dawidSkeneWorkMax,
} from '../../base/limits-statistics.ts'

/** What one rater says of one item, all counted from 0. A rater may label an item more than once; each time counts. */
export interface Label {
  readonly item: number
  readonly rater: number
  readonly label: number
}

export interface Sizes {
  readonly items: number
  readonly raters: number
  readonly classes: number
}

export interface DawidSkeneOptions {
  readonly iterationsMax?: number
  /** It has settled when no posterior moves further. */
  readonly tolerance?: number
}

export interface DawidSkene {
  /** Each class's share of the items that anybody labelled. */
  readonly shares: readonly number[]
  /**
   * By rater, by true class: the probabilities of the labels. Undefined where the rater labelled nothing that may be of
   * that class, so that nothing is known.
   */
  readonly confusion: readonly (readonly (readonly number[] | undefined)[])[]
  /** Row by row, `classes` for each item; zeros for an item without labels. */
  readonly posteriors: Float64Array
  /** The class with a posterior above one half; undefined where there is none: a tie is not resolved by guessing. */
  readonly labels: readonly (number | undefined)[]
  readonly logLikelihood: number
  readonly iterations: number
  /** False when the bound on iterations came first. */
  readonly converged: boolean
}

const TOLERANCE = 2 ** -31
/** Added and taken away again, it leaves a number from 0 to 1 rounded to a multiple of 2^-32. */
const ROUNDER = 2 ** 20
/** A product below is multiplied by its inverse: far above where doubles lose digits, and a power of two, so exact. */
const SMALL = 2 ** -256

/** @throws NodeError INVALID_INPUT for what lies outside of `sizes`, TOO_LARGE */
export function dawidSkene(
  labels: readonly Label[],
  sizes: Sizes,
  options: DawidSkeneOptions = {},
): DawidSkene {
  const estimate = new Estimate(labels, sizes, options)
  while (!estimate.isDone) estimate.iterate()
  return estimate.result()
}

/** The same, letting others have their turn between two iterations. @throws NodeError as above; the signal's reason */
export async function dawidSkeneInTurns(
  labels: readonly Label[],
  sizes: Sizes,
  options: DawidSkeneOptions & { readonly signal?: AbortSignal } = {},
): Promise<DawidSkene> {
  const estimate = new Estimate(labels, sizes, options)
  while (!estimate.isDone) {
    estimate.iterate()
    await setImmediate()
    options.signal?.throwIfAborted()
  }
  return estimate.result()
}

class Estimate {
  readonly #sizes: Sizes
  readonly #iterationsMax: number
  readonly #tolerance: number
  /** Labels of item i: from `#starts[i]` to `#starts[i + 1]`, each `rater × classes + label`, sorted. */
  readonly #starts: Int32Array
  readonly #codes: Int32Array
  #rated = 0
  readonly #posteriors: Float64Array
  readonly #shares: Float64Array
  /** By rater, by label, by true class: so that both steps run through neighbours. */
  readonly #confusion: Float64Array
  /** By rater, by true class: the sum over its labels. */
  readonly #masses: Float64Array
  #iterations = 0
  #moved = Number.POSITIVE_INFINITY
  #logLikelihood = 0

  constructor(labels: readonly Label[], sizes: Sizes, { iterationsMax, tolerance }: DawidSkeneOptions) {
    checkSizes(labels, sizes)
    const { items, raters, classes } = sizes
    this.#sizes = sizes
    const affordable = Math.floor(dawidSkeneWorkMax / Math.max(1, labels.length * classes))
    this.#iterationsMax = Math.min(iterationsMax ?? dawidSkeneIterationsMax, affordable)
    this.#tolerance = tolerance ?? TOLERANCE
    this.#starts = new Int32Array(items + 1)
    this.#codes = new Int32Array(labels.length)
    this.#posteriors = new Float64Array(items * classes)
    this.#shares = new Float64Array(classes)
    this.#confusion = new Float64Array(raters * classes * classes)
    this.#masses = new Float64Array(raters * classes)
    this.#sort(labels)
    this.#begin()
  }

  get isDone(): boolean {
    return this.#moved <= this.#tolerance || this.#iterations >= this.#iterationsMax || this.#rated === 0
  }

  iterate(): void {
    this.#maximise()
    this.#expect()
    this.#iterations += 1
  }

  result(): DawidSkene {
    const { items, raters, classes } = this.#sizes
    const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)
    const row = (rater: number, own: number) =>
      this.#masses[rater * classes + own] === 0
        ? undefined
        : numbers(classes).map(
            (label) => this.#confusion[(rater * classes + label) * classes + own] as number,
          )
    return {
      shares: [...this.#shares],
      confusion: numbers(raters).map((rater) => numbers(classes).map((own) => row(rater, own))),
      posteriors: this.#posteriors.slice(),
      labels: numbers(items).map((item) => {
        const found = this.#posteriors
          .subarray(item * classes, (item + 1) * classes)
          .findIndex((p) => p > 0.5)
        return found < 0 ? undefined : found
      }),
      logLikelihood: this.#logLikelihood,
      iterations: this.#iterations,
      converged: this.#rated === 0 || this.#moved <= this.#tolerance,
    }
  }

  #sort(labels: readonly Label[]): void {
    const { items, classes } = this.#sizes
    const starts = this.#starts
    for (const { item } of labels) add(starts, item + 1, 1)
    for (let item = 0; item < items; item += 1) {
      if (starts[item + 1] !== 0) this.#rated += 1
      add(starts, item + 1, starts[item] as number)
    }
    const next = starts.slice()
    for (const { item, rater, label } of labels) {
      this.#codes[next[item] as number] = rater * classes + label
      add(next, item, 1)
    }
    for (let item = 0; item < items; item += 1) this.#codes.subarray(starts[item], starts[item + 1]).sort()
  }

  /** Vote fractions: what share of an item's labels names each class. */
  #begin(): void {
    const { items, classes } = this.#sizes
    for (let item = 0; item < items; item += 1) {
      const [from, to] = [this.#starts[item] as number, this.#starts[item + 1] as number]
      const votes = this.#posteriors.subarray(item * classes, (item + 1) * classes)
      for (let at = from; at < to; at += 1) add(votes, (this.#codes[at] as number) % classes, 1)
      for (let own = 0; own < classes && from < to; own += 1)
        votes[own] = rounded((votes[own] as number) / (to - from))
    }
  }

  /** The M step, equations 2.3 and 2.4 of the paper: error rates and class shares from the posteriors. */
  #maximise(): void {
    const { items, raters, classes } = this.#sizes
    const [posteriors, shares, confusion, masses] = [
      this.#posteriors,
      this.#shares,
      this.#confusion,
      this.#masses,
    ]
    shares.fill(0)
    confusion.fill(0)
    masses.fill(0)
    for (let item = 0; item < items; item += 1) {
      const first = item * classes
      for (let own = 0; own < classes; own += 1) add(shares, own, posteriors[first + own] as number)
      for (let at = this.#starts[item] as number; at < (this.#starts[item + 1] as number); at += 1) {
        const base = (this.#codes[at] as number) * classes
        for (let own = 0; own < classes; own += 1) {
          add(confusion, base + own, posteriors[first + own] as number)
        }
      }
    }
    for (let own = 0; own < classes; own += 1) shares[own] = (shares[own] as number) / this.#rated
    for (let rater = 0; rater < raters; rater += 1) {
      const mass = masses.subarray(rater * classes, (rater + 1) * classes)
      const own = confusion.subarray(rater * classes * classes, (rater + 1) * classes * classes)
      for (let cell = 0; cell < own.length; cell += 1) add(mass, cell % classes, own[cell] as number)
      for (let cell = 0; cell < own.length; cell += 1) {
        if (mass[cell % classes] !== 0) own[cell] = (own[cell] as number) / (mass[cell % classes] as number)
      }
    }
  }

  /** The E step, equation 2.5: posteriors from the error rates; and how far they moved. */
  #expect(): void {
    const { items, classes } = this.#sizes
    const products = new Float64Array(classes)
    this.#moved = 0
    this.#logLikelihood = 0
    for (let item = 0; item < items; item += 1) {
      if (this.#starts[item] === this.#starts[item + 1]) continue
      const scalings = this.#multiply(item, products)
      let sum = 0
      for (let own = 0; own < classes; own += 1) sum += products[own] as number
      // Rounding may leave no class possible, where the last bit of each had kept it so: what was known then stands.
      if (sum === 0) continue
      this.#logLikelihood += Math.log(sum) + scalings * Math.log(SMALL)
      for (let own = 0; own < classes; own += 1) {
        const posterior = rounded((products[own] as number) / sum)
        const moved = posterior - (this.#posteriors[item * classes + own] as number)
        this.#moved = Math.max(this.#moved, moved < 0 ? -moved : moved)
        this.#posteriors[item * classes + own] = posterior
      }
    }
  }

  /** Share of each class times the probabilities of the item's labels in it. @returns how often that was scaled up. */
  #multiply(item: number, products: Float64Array): number {
    const classes = products.length
    const confusion = this.#confusion
    products.set(this.#shares)
    let scalings = 0
    for (let at = this.#starts[item] as number; at < (this.#starts[item + 1] as number); at += 1) {
      const base = (this.#codes[at] as number) * classes
      let largest = 0
      for (let own = 0; own < classes; own += 1) {
        const product = (products[own] as number) * (confusion[base + own] as number)
        products[own] = product
        if (product > largest) largest = product
      }
      if (largest >= SMALL || largest === 0) continue
      for (let own = 0; own < classes; own += 1) products[own] = (products[own] as number) / SMALL
      scalings += 1
    }
    return scalings
  }
}

function add(array: Float64Array | Int32Array, index: number, value: number): void {
  array[index] = (array[index] as number) + value
}

function rounded(posterior: number): number {
  return posterior + ROUNDER - ROUNDER
}

function checkSizes(labels: readonly Label[], { items, raters, classes }: Sizes): void {
  const isSize = (size: number) => Number.isSafeInteger(size) && size >= 0
  if (![items, raters, classes].every(isSize)) {
    throw new NodeError('INVALID_INPUT', 'Items, raters and classes are whole numbers', {
      items,
      raters,
      classes,
    })
  }
  const cells = Math.max(items * classes, raters * classes * classes)
  if (labels.length > dawidSkeneLabelsMax || items > dawidSkeneLabelsMax || cells > dawidSkeneCellsMax) {
    const found = `${labels.length} labels of ${items} items by ${raters} raters in ${classes} classes`
    const bounds = `${dawidSkeneLabelsMax} labels, ${dawidSkeneCellsMax} posteriors or error rates`
    throw new NodeError('TOO_LARGE', `${found} are more than can be estimated from: ${bounds}`)
  }
  const isIn = (index: number, size: number) => Number.isInteger(index) && index >= 0 && index < size
  for (const { item, rater, label } of labels) {
    if (isIn(item, items) && isIn(rater, raters) && isIn(label, classes)) continue
    throw new NodeError('INVALID_INPUT', 'A label is outside of the sizes given', { item, rater, label })
  }
}
