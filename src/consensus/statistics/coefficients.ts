/**
 * Agreement beyond chance, from ratings as codes of categories: Fleiss' kappa and Krippendorff's alpha. Pure; only
 * operations that IEEE 754 rounds exactly, so that the same ratings in the same order give the same digits everywhere.
 */

/** The ratings of one unit: their category codes, missing ones left out. At least two of them. */
export type UnitRatings = readonly number[]

/** Equal pairs and all pairs of ratings of one unit. */
export function equalPairs(units: Iterable<UnitRatings>): { equal: number; all: number } {
  let [equal, all] = [0, 0]
  for (const ratings of units) {
    all += (ratings.length * (ratings.length - 1)) / 2
    for (const count of countsOf(ratings).values()) equal += (count * (count - 1)) / 2
  }
  return { equal, all }
}

/**
 * Fleiss' kappa (Fleiss 1971, Psychological Bulletin 76(5), 378–382): the mean share of agreeing pairs in a unit against
 * the share that is to be expected from how often each category was used.
 *
 * @param units each rated by the same number of raters, two or more.
 * @returns undefined without a unit, and where only one category was ever used: agreement by chance is certain then.
 */
export function fleissKappa(units: Iterable<UnitRatings>): number | undefined {
  const used = new Map<number, number>()
  let [count, raters, agreeing] = [0, 0, 0]
  for (const ratings of units) {
    count += 1
    raters = ratings.length
    for (const [category, times] of countsOf(ratings)) {
      agreeing += times * (times - 1)
      used.set(category, (used.get(category) ?? 0) + times)
    }
  }
  if (count === 0 || used.size < 2) return undefined
  // Both shares over the common denominator (units × raters)², so that all but the last steps are whole numbers.
  const ratings = count * raters
  let chance = 0
  for (const times of used.values()) chance += times * times
  return ((agreeing * ratings) / (raters - 1) - chance) / (ratings * ratings - chance)
}

/**
 * Krippendorff's alpha for nominal data (Krippendorff 2004, Content Analysis, ch. 11; "Computing Krippendorff's
 * Alpha-Reliability", 2011, part C): one less the ratio of observed to expected disagreement.
 *
 * @returns undefined when fewer than two categories were used.
 */
export function nominalAlpha(units: Iterable<UnitRatings>): number | undefined {
  const used = new Map<number, number>()
  // Unequal ordered pairs, by how many ratings their unit has: whole numbers, divided once at the end.
  const unequal = new Map<number, number>()
  let ratings = 0
  for (const unit of units) {
    let pairs = unit.length * unit.length
    for (const [category, times] of countsOf(unit)) {
      pairs -= times * times
      used.set(category, (used.get(category) ?? 0) + times)
    }
    ratings += unit.length
    unequal.set(unit.length, (unequal.get(unit.length) ?? 0) + pairs)
  }
  if (used.size < 2) return undefined
  let observed = 0
  for (const [size, pairs] of [...unequal].sort(([a], [b]) => a - b)) observed += pairs / (size - 1)
  let expected = ratings * ratings
  for (const times of used.values()) expected -= times * times
  return 1 - ((ratings - 1) * observed) / expected
}

/**
 * Krippendorff's alpha for interval data: disagreement is the square of the difference. Sums of squared pairwise
 * differences are taken as sums of squared deviations from the mean, which does not cancel.
 *
 * @param values the finite number that each category code stands for.
 * @returns undefined when fewer than two values were used.
 */
export function intervalAlpha(units: readonly UnitRatings[], values: readonly number[]): number | undefined {
  const places = scaled(units, values)
  if (places === undefined) return undefined
  const at = (code: number) => places[code] as number
  let [ratings, sum] = [0, 0]
  for (const unit of units) {
    ratings += unit.length
    for (const code of unit) sum += at(code)
  }
  const mean = sum / ratings
  let [within, total] = [0, 0]
  for (const unit of units) {
    let own = 0
    for (const code of unit) {
      own += at(code)
      total += (at(code) - mean) * (at(code) - mean)
    }
    own /= unit.length
    let squares = 0
    for (const code of unit) squares += (at(code) - own) * (at(code) - own)
    within += (squares * unit.length) / (unit.length - 1)
  }
  return 1 - ((ratings - 1) * within) / (ratings * total)
}

/**
 * Krippendorff's alpha for ordinal data. Its difference between two ranks, the ratings between them and half of those at
 * either end, is the difference of their mid-ranks; so it is the interval alpha of mid-ranks.
 */
export function ordinalAlpha(units: readonly UnitRatings[], values: readonly number[]): number | undefined {
  const used = new Map<number, number>()
  for (const unit of units) for (const code of unit) used.set(code, (used.get(code) ?? 0) + 1)
  const ranks = new Array<number>(values.length).fill(0)
  let below = 0
  for (const [code, times] of [...used].sort(([a], [b]) => (values[a] as number) - (values[b] as number))) {
    ranks[code] = below + times / 2
    below += times
  }
  return intervalAlpha(units, ranks)
}

/** The values that were used moved and stretched to 0 … 1, which alpha does not see, so that no square overflows. */
function scaled(units: readonly UnitRatings[], values: readonly number[]): number[] | undefined {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const unit of units) {
    for (const code of unit) {
      const value = values[code] as number
      if (value < low) low = value
      if (value > high) high = value
    }
  }
  if (!(low < high)) return undefined
  // The range of the largest doubles is not itself a double; halves of them have one.
  if (high - low === Number.POSITIVE_INFINITY)
    return scaled(
      units,
      values.map((value) => value / 2),
    )
  return values.map((value) => (value - low) / (high - low))
}

function countsOf(ratings: UnitRatings): Map<number, number> {
  const counts = new Map<number, number>()
  for (const code of ratings) counts.set(code, (counts.get(code) ?? 0) + 1)
  return counts
}
