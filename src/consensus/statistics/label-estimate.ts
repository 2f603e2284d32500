import { dawidSkeneIterationsMax, dawidSkeneWorkMax } from '../../base/limits-statistics.ts'
import { checkSizes, type DawidSkene, type DawidSkeneOptions, type Label, type Sizes } from './labels.ts'

export interface Work {
  readonly labels: number
  readonly classes: number
  /** Estimations that share the bound. */
  readonly columns: number
}

const TOLERANCE = 2 ** -31
/** Added and taken away again, it leaves a number from 0 to 1 rounded to a multiple of 2^-32. */
const ROUNDER = 2 ** 20
/** A product below is multiplied by its inverse: far above where doubles lose digits, and a power of two, so exact. */
const SMALL = 2 ** -256
/** Labels × classes that are gone through at a stretch: some twenty milliseconds. */
const SLICE = 2 ** 21

/** How often both steps are gone through at most, so that all columns of a file together stay within the bound on work. */
export function iterationsFor({ labels, classes, columns }: Work): number {
  const affordable = Math.floor(dawidSkeneWorkMax / Math.max(1, columns * labels * classes))
  return Math.min(dawidSkeneIterationsMax, affordable)
}

/** One estimation (dawid-skene.ts): both steps of the algorithm, over flat arrays, in slices. */
export class LabelEstimate {
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

  constructor(labels: readonly Label[], sizes: Sizes, options: DawidSkeneOptions) {
    checkSizes(labels, sizes)
    const { items, raters, classes } = sizes
    this.#sizes = sizes
    const affordable = iterationsFor({ labels: labels.length, classes, columns: options.columns ?? 1 })
    this.#iterationsMax = Math.min(options.iterationsMax ?? dawidSkeneIterationsMax, affordable)
    this.#tolerance = options.tolerance ?? TOLERANCE
    this.#starts = new Int32Array(items + 1)
    this.#codes = new Int32Array(labels.length)
    this.#posteriors = new Float64Array(items * classes)
    this.#shares = new Float64Array(classes)
    this.#confusion = new Float64Array(raters * classes * classes)
    this.#masses = new Float64Array(raters * classes)
    this.#sort(labels)
    this.#begin()
  }

  /** Until it has settled, or may go on no longer; yields after every slice of work. */
  *run(): Generator<void> {
    if (this.#rated === 0) return
    const slices = this.#slices()
    while (this.#moved > this.#tolerance && this.#iterations < this.#iterationsMax) {
      this.#forgetRates()
      for (const [from, to] of slices) {
        this.#gather(from, to)
        yield
      }
      this.#maximise()
      this.#moved = 0
      this.#logLikelihood = 0
      for (const [from, to] of slices) {
        this.#expect(from, to)
        yield
      }
      this.#iterations += 1
    }
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

  /** Items from … until …, so that their labels × classes are about `SLICE` each. */
  #slices(): (readonly [from: number, to: number])[] {
    const { items, classes } = this.#sizes
    const slices: (readonly [number, number])[] = []
    let from = 0
    for (let item = 1; item <= items; item += 1) {
      const work = ((this.#starts[item] as number) - (this.#starts[from] as number) + item - from) * classes
      if (work < SLICE && item < items) continue
      slices.push([from, item])
      from = item
    }
    return slices
  }

  #forgetRates(): void {
    this.#shares.fill(0)
    this.#confusion.fill(0)
    this.#masses.fill(0)
  }

  /** The M step, equations 2.3 and 2.4 of the paper: first the sums of posteriors, of the items in a slice. */
  #gather(from: number, to: number): void {
    const classes = this.#sizes.classes
    const [posteriors, shares, confusion] = [this.#posteriors, this.#shares, this.#confusion]
    for (let item = from; item < to; item += 1) {
      const first = item * classes
      for (let own = 0; own < classes; own += 1) add(shares, own, posteriors[first + own] as number)
      for (let at = this.#starts[item] as number; at < (this.#starts[item + 1] as number); at += 1) {
        const base = (this.#codes[at] as number) * classes
        for (let own = 0; own < classes; own += 1) {
          add(confusion, base + own, posteriors[first + own] as number)
        }
      }
    }
  }

  /** Then class shares and error rates from these. */
  #maximise(): void {
    const { raters, classes } = this.#sizes
    const shares = this.#shares
    for (let own = 0; own < classes; own += 1) shares[own] = (shares[own] as number) / this.#rated
    for (let rater = 0; rater < raters; rater += 1) {
      const mass = this.#masses.subarray(rater * classes, (rater + 1) * classes)
      const own = this.#confusion.subarray(rater * classes * classes, (rater + 1) * classes * classes)
      for (let cell = 0; cell < own.length; cell += 1) add(mass, cell % classes, own[cell] as number)
      for (let cell = 0; cell < own.length; cell += 1) {
        if (mass[cell % classes] !== 0) own[cell] = (own[cell] as number) / (mass[cell % classes] as number)
      }
    }
  }

  /** The E step, equation 2.5: posteriors from the error rates; and how far they moved. */
  #expect(from: number, to: number): void {
    const classes = this.#sizes.classes
    const products = new Float64Array(classes)
    for (let item = from; item < to; item += 1) {
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
