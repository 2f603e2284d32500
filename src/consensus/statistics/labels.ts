/** Labels that several raters gave to items, and what is estimated from them (dawid-skene.ts). */
import { NodeError } from '../../base/errors.ts'
import { dawidSkeneCellsMax, dawidSkeneLabelsMax } from '../../base/limits-statistics.ts'

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
  /** How many estimations share the bound on work, this one included; 1 without it. */
  readonly columns?: number
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

/** @throws NodeError INVALID_INPUT for sizes that are none and labels outside of them, TOO_LARGE */
export function checkSizes(labels: readonly Label[], { items, raters, classes }: Sizes): void {
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
