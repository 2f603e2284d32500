/** Method `numeric` (protocols/methods.md §6): the median, where more than half lie close enough to it. */
import { comparePaths } from '../paths.ts'
import { AgreementTally } from '../statistics/agreement.ts'
import {
  type CellEntry,
  type CellVerdict,
  cellName,
  type Holding,
  type MeasuredColumns,
  majorityOf,
  ratingsOf,
} from './cell-judge.ts'
import { isNothing, numberOf } from './cells.ts'
import type { Court } from './court.ts'
import type { EntryMethod } from './file-merge.ts'
import { FirstNames } from './first-names.ts'
import { lowerMedian, outlierReach, reach, type Tolerance } from './numbers.ts'
import { isMajority } from './weights.ts'

interface Value {
  readonly holding: Holding
  readonly value: number
  readonly raw: string
}

/** Of fewer values nothing can be said about how they spread. */
const SPREAD_VALUES = 3

export class NumberColumns implements MeasuredColumns {
  readonly agreement: AgreementTally
  readonly #court: Court
  readonly #tolerance: Tolerance
  /** By place of the member. */
  readonly #outliers: readonly FirstNames[]

  constructor(method: Extract<EntryMethod, { name: 'numeric' }>, court: Court) {
    this.#court = court
    this.#tolerance = method.tolerance
    this.#outliers = court.peers.map(() => new FirstNames())
    this.agreement = new AgreementTally({ level: 'interval', raters: court.peers.length })
  }

  judge({ key }: CellEntry, name: string, holdings: readonly Holding[]): CellVerdict {
    const court = this.#court
    this.agreement.add(ratingsOf(holdings, court, (cell) => numberOf(cell?.said)))
    const values = holdings.flatMap((holding): Value[] => {
      const value = numberOf(holding.cell?.said)
      // The truth's value is nobody's.
      if (value === undefined || holding.weight === 0) return []
      return [{ holding, value, raw: holding.cell?.raw ?? '' }]
    })
    if (values.length === 0) return majorityOf(holdings, court) ?? 'contested'
    const each = values
      .flatMap((value) =>
        new Array<Value>(court.versions[value.holding.version]?.ballots.length ?? 0).fill(value),
      )
      .sort((a, b) => a.value - b.value || comparePaths(a.raw, b.raw))
    const middle = lowerMedian(each)
    const bound = reach(middle.value, this.#tolerance)
    this.#note(each, bound, () => cellName(key, name))
    const near = each.filter(({ value }) => Math.abs(value - middle.value) <= bound)
    const weight = [...new Set(near)].reduce((sum, { holding }) => sum + holding.weight, 0)
    if (isMajority(weight, court.total)) {
      const agreeing = holdings.filter(({ cell }) => {
        const value = numberOf(cell?.said)
        return value !== undefined && Math.abs(value - middle.value) <= bound
      })
      return { raw: middle.raw, agreeing: new Set(agreeing.map(({ version }) => version)) }
    }
    // More than half may hold nothing there.
    const nothing = majorityOf(
      holdings.filter(({ cell }) => isNothing(cell?.said, court.frame)),
      court,
    )
    return nothing ?? 'contested'
  }

  notes(): string[] {
    return this.#outliers.flatMap((names, i) => {
      const { count, first } = names.list()
      if (count === 0) return []
      const more = count > first.length ? ` and ${count - first.length} more` : ''
      return [`${this.#court.peers[i]}: ${count} outliers (beyond 3 MAD): ${first.join('; ')}${more}`]
    })
  }

  /** Names outliers; what lies within the tolerance is none, however close together the others are. */
  #note(each: readonly Value[], bound: number, name: () => Uint8Array): void {
    if (each.length < SPREAD_VALUES) return
    // Mostly they are all the same.
    if (each[0]?.value === each.at(-1)?.value) return
    const { middle, reach: far } = outlierReach(each.map(({ value }) => value))
    for (const { holding, value } of new Set(each)) {
      const off = Math.abs(value - middle)
      if (off <= far || off <= bound) continue
      for (const i of this.#court.versions[holding.version]?.ballots ?? []) this.#outliers[i]?.add(name())
    }
  }
}
