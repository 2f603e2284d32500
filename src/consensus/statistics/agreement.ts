/** How far several raters agree, beyond what chance would give. A report: nothing is decided by it. */
import { agreementCategoriesMax, agreementUnitsMax } from '../../base/limits-statistics.ts'
import {
  equalPairs,
  fleissKappa,
  intervalAlpha,
  nominalAlpha,
  ordinalAlpha,
  type UnitRatings,
} from './coefficients.ts'
import { MISSING, type Rating, UnitSample } from './unit-sample.ts'

/** How far apart two ratings are: any two unequal ones alike, by rank, or by the square of their difference. */
export type Level = 'nominal' | 'ordinal' | 'interval'

export interface Agreement {
  readonly level: Level
  /** Units (files, rows, cells) that at least two raters rated. */
  readonly units: number
  readonly raters: number
  /** Pairs of ratings of one unit that are equal, of all such pairs; 0 to 1. Undefined without a pair. */
  readonly percent: number | undefined
  /** Fleiss 1971, over the units that every rater rated; undefined where it is (no such unit, or no variation at all). */
  readonly fleissKappa: number | undefined
  /** Krippendorff 2004; ratings may be missing. Undefined where no two ratings could ever differ. */
  readonly krippendorffAlpha: number | undefined
  /** True when only a sample of the units was looked at, since there are so many. */
  readonly sampled: boolean
}

export interface AgreementScope {
  readonly level: Level
  /** How many there are, whether or not they rate everything. */
  readonly raters: number
  /** Of more units than these a sample is looked at. */
  readonly unitsMax?: number
  readonly categoriesMax?: number
}

/**
 * Takes units one after another and keeps a bounded sample of them (`UnitSample`); the same units in the same order give
 * the same result everywhere, to the last digit.
 *
 * What counts as a rating: at level `nominal` any string and any number but NaN (1 and '1' are two categories); at
 * `ordinal` and `interval` finite numbers alone. Everything else is missing.
 */
export class AgreementTally {
  readonly #level: Level
  readonly #raters: number
  readonly #sample: UnitSample
  #units = 0

  constructor({ level, raters, unitsMax, categoriesMax }: AgreementScope) {
    this.#level = level
    this.#raters = raters
    this.#sample = new UnitSample({
      raters,
      unitsMax: unitsMax ?? agreementUnitsMax,
      categoriesMax: categoriesMax ?? agreementCategoriesMax,
    })
  }

  /** @param ratings of one unit, at the same place always the same rater's; those beyond `raters` are nobody's. */
  add(ratings: readonly (Rating | undefined)[]): void {
    const counted: (Rating | undefined)[] = []
    let present = 0
    for (let rater = 0; rater < this.#raters; rater += 1) {
      const rating = ratings[rater]
      const isRating = rating !== undefined && this.#isRating(rating)
      counted.push(isRating ? rating : undefined)
      if (isRating) present += 1
    }
    // One rating agrees and disagrees with nothing.
    if (present < 2) return
    this.#units += 1
    this.#sample.add(counted)
  }

  result(): Agreement {
    const units = [...this.#sample.rows()].map(
      (row): UnitRatings => [...row].filter((code) => code !== MISSING),
    )
    const { equal, all } = equalPairs(units)
    return {
      level: this.#level,
      units: this.#units,
      raters: this.#raters,
      percent: all === 0 ? undefined : equal / all,
      fleissKappa: fleissKappa(units.filter((ratings) => ratings.length === this.#raters)),
      krippendorffAlpha: this.#alpha(units),
      sampled: this.#sample.sampled,
    }
  }

  #isRating(rating: Rating): boolean {
    return this.#level === 'nominal' ? !Number.isNaN(rating) : Number.isFinite(rating)
  }

  #alpha(units: readonly UnitRatings[]): number | undefined {
    if (this.#level === 'nominal') return nominalAlpha(units)
    const values = this.#sample.values as readonly number[]
    return this.#level === 'ordinal' ? ordinalAlpha(units, values) : intervalAlpha(units, values)
  }
}
