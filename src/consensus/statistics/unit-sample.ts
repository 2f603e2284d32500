/**
 * Ratings of units, in bounded memory however many units there are: a sample that depends on nothing but the order in
 * which the units come, so that everybody who reads the same files looks at the same units.
 */
import { createHash } from 'node:crypto'
import { agreementValueCharactersMax } from '../../base/limits-statistics.ts'

export type Rating = string | number

export interface SampleBounds {
  readonly raters: number
  readonly unitsMax: number
  readonly categoriesMax: number
}

/** The code of a rating that is not there. */
export const MISSING = -1
const UNITS_FIRST = 64
/** Every unit's mixed index has so many bits, no two units' the same: halving so often leaves one unit. */
const BITS = 32

/**
 * Keeps every unit until there are more than `unitsMax`, or more than `categoriesMax` different ratings in them; then
 * about half of them, and from there on about every second unit of those that come, and so on.
 */
export class UnitSample {
  readonly #bounds: SampleBounds
  #values: Rating[] = []
  #codes = new Map<Rating, number>()
  /** Row by row, `raters` codes each. */
  #rows: Int32Array
  /** The mixed index of each kept unit. */
  #marks: number[] = []
  #seen = 0
  #halvings = 0

  constructor(bounds: SampleBounds) {
    this.#bounds = bounds
    this.#rows = new Int32Array(UNITS_FIRST * bounds.raters)
  }

  /** True when not every unit is kept. */
  get sampled(): boolean {
    return this.#halvings > 0
  }

  /** How many units are kept. */
  get units(): number {
    return this.#marks.length
  }

  /** The ratings in the kept units, by code. */
  get values(): readonly Rating[] {
    return this.#values
  }

  /** @param ratings one for each rater, undefined where it is missing. */
  add(ratings: readonly (Rating | undefined)[]): void {
    const mark = mixed(this.#seen)
    this.#seen += 1
    if (!this.#wants(mark)) return
    this.#push(mark, ratings)
    while (this.#isFull && this.#halvings < BITS) this.#halve()
  }

  /** The kept units in the order in which they came: one code for each rater. A view, good until the next `add`. */
  *rows(): Generator<Int32Array> {
    for (let unit = 0; unit < this.units; unit += 1) yield this.#row(unit)
  }

  get #isFull(): boolean {
    return this.units > this.#bounds.unitsMax || this.#values.length > this.#bounds.categoriesMax
  }

  #wants(mark: number): boolean {
    return this.#halvings === 0 || mark >>> (BITS - this.#halvings) === 0
  }

  #row(unit: number): Int32Array {
    return this.#rows.subarray(unit * this.#bounds.raters, (unit + 1) * this.#bounds.raters)
  }

  #push(mark: number, ratings: readonly (Rating | undefined)[]): void {
    const end = (this.units + 1) * this.#bounds.raters
    if (end > this.#rows.length) {
      const wider = new Int32Array(2 * this.#rows.length)
      wider.set(this.#rows)
      this.#rows = wider
    }
    const row = this.#row(this.units)
    for (let rater = 0; rater < row.length; rater += 1) row[rater] = this.#codeOf(ratings[rater])
    this.#marks.push(mark)
  }

  #codeOf(rating: Rating | undefined): number {
    if (rating === undefined) return MISSING
    const value = shortened(rating)
    const known = this.#codes.get(value)
    if (known !== undefined) return known
    const code = this.#values.length
    const kept = detached(value)
    this.#values.push(kept)
    this.#codes.set(kept, code)
    return code
  }

  #halve(): void {
    this.#halvings += 1
    const [marks, values] = [this.#marks, this.#values]
    this.#marks = []
    this.#values = []
    this.#codes = new Map()
    for (const [unit, mark] of marks.entries()) {
      if (!this.#wants(mark)) continue
      // Never written further than read: what is kept moves to the front.
      const ratings = [...this.#row(unit)].map((code) => (code === MISSING ? undefined : values[code]))
      this.#push(mark, ratings)
    }
  }
}

/** Short values as they are; the name of a long one is too long to be a short one. */
function shortened(rating: Rating): Rating {
  if (typeof rating === 'number' || rating.length <= agreementValueCharactersMax) return rating
  return `sha256 ${createHash('sha256').update(rating, 'utf8').digest('hex')}`
}

/** A copy, since a piece cut from a text keeps all of that text in memory. */
function detached(value: Rating): Rating {
  return typeof value === 'number' ? value : Buffer.from(value, 'utf16le').toString('utf16le')
}

/** Spreads indices so that what repeats in the units does not repeat in the sample (the finaliser of MurmurHash3). */
function mixed(index: number): number {
  let bits = index | 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
