/** Methods that agree cell by cell: an entry stands where more than half have it, and its cells are decided one by one. */

import { comparePaths } from '../paths.ts'
import type { AgreementTally } from '../statistics/agreement.ts'
import { type Cell, type Cells, cellsOf, columnName, isMeasured, LONE } from './cells.ts'
import type { Court } from './court.ts'
import { csvField } from './csv-entries.ts'
import { compareBytes } from './entry.ts'
import type { Spoken } from './entry-groups.ts'
import type { EntryMethod } from './file-merge.ts'
import { type EntryJudge, type Judged, presentWeight, withoutMajority } from './judge.ts'
import { formOf } from './row-judge.ts'
import { isMajority } from './weights.ts'

/** What one version holds in one column of an entry; undefined where the entry has no such member. */
export interface Holding {
  readonly version: number
  readonly weight: number
  readonly isTruth: boolean
  readonly cell: Cell | undefined
}

export type CellVerdict =
  /** What is to be written (undefined: no such member), and which versions hold it. */
  { readonly raw: string | undefined; readonly agreeing: ReadonlySet<number> } | 'contested'

/** What a method makes of the columns that it measures. */
export interface MeasuredColumns {
  readonly agreement: AgreementTally
  study?(entry: CellEntry, present: boolean): void
  studied?(signal?: AbortSignal): Promise<void>
  /** Decides where no single text has a majority, or where the method does not ask for one. */
  judge(entry: CellEntry, name: string, holdings: readonly Holding[]): CellVerdict
  notes(): string[]
}

export interface CellEntry {
  readonly key: Uint8Array
  readonly cells: readonly { readonly spoken: Spoken; readonly cells: Cells }[]
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

export class CellJudge implements EntryJudge {
  readonly #method: EntryMethod
  readonly #court: Court
  readonly #columns: MeasuredColumns
  readonly study: EntryJudge['study']
  readonly studied: EntryJudge['studied']

  constructor(method: EntryMethod, court: Court, columns: MeasuredColumns) {
    this.#method = method
    this.#court = court
    this.#columns = columns
    if (columns.study === undefined) return
    this.study = (key, spoken) => {
      const present = isMajority(presentWeight(spoken, court), court.total)
      columns.study?.({ key, cells: this.#cells(spoken) }, present)
    }
    this.studied = async (signal) => columns.studied?.(signal)
  }

  get agreement(): AgreementTally {
    return this.#columns.agreement
  }

  judge(key: Uint8Array, spoken: readonly Spoken[]): Judged {
    const court = this.#court
    const entry = { key, cells: this.#cells(spoken) }
    const present = isMajority(presentWeight(spoken, court), court.total)
    const raws = new Map<string, string>()
    const contested: Uint8Array[] = []
    const differing: { version: number; name: Uint8Array }[] = []
    const truth = entry.cells.find((one) => court.versions[one.spoken.version]?.isTruth)
    for (const name of namesOf(entry, court)) {
      const holdings = this.#holdings(entry, name)
      const verdict = isMeasured(this.#method, name)
        ? this.#columns.judge(entry, name, holdings)
        : (majorityOf(holdings, court) ?? 'contested')
      if (!present) continue
      if (verdict === 'contested') {
        contested.push(cellName(key, name))
        const own = truth?.cells.byName.get(name)
        if (own !== undefined) raws.set(name, own.raw)
        continue
      }
      if (verdict.raw !== undefined) raws.set(name, verdict.raw)
      for (const { version } of holdings) {
        if (!verdict.agreeing.has(version)) differing.push({ version, name: cellName(key, name) })
      }
    }
    if (!present) return withoutMajority(key, spoken, court)
    // What is new and in part contested has no truth to fall back on: it stays out.
    if (contested.length > 0 && truth === undefined)
      return { verdict: { kind: 'contested' }, contested, differing: [] }
    // An object cannot take the place of what is none, nor the reverse.
    const alike = entry.cells.filter((one) => one.cells.byName.has(LONE) === raws.has(LONE))
    const { written, ending } = formOf(
      alike.map((one) => one.spoken),
      court,
    )
    const base = entry.cells.find(
      (one) => compareBytes(one.spoken.written, written) === 0,
    ) as CellEntry['cells'][number]
    const composed = encoder.encode(base.cells.compose(raws))
    return { verdict: { kind: 'agreed', written: composed, ending }, contested, differing }
  }

  notes(): string[] {
    return this.#columns.notes()
  }

  /** What was written alike is read once. */
  #cells(spoken: readonly Spoken[]): CellEntry['cells'] {
    const read: { spoken: Spoken; cells: Cells }[] = []
    for (const one of spoken) {
      const same = read.find((other) => compareBytes(other.spoken.written, one.written) === 0)
      read.push({ spoken: one, cells: same?.cells ?? cellsOf(one.written, this.#court.frame) })
    }
    return read
  }

  #holdings({ cells }: CellEntry, name: string): Holding[] {
    return cells.map(({ spoken: { version }, cells: own }) => {
      const { weight, isTruth } = this.#court.versions[version] as Court['versions'][number]
      return { version, weight, isTruth, cell: own.byName.get(name) }
    })
  }
}

/** The columns of a table in their order; of JSON, all members that any version names, by their bytes. */
function namesOf({ cells }: CellEntry, { frame }: Court): Iterable<string> {
  if (frame.columns !== undefined) return frame.columns
  return [...new Set(cells.flatMap(({ cells: own }) => [...own.byName.keys()]))].sort(comparePaths)
}

/**
 * What more than half of all ballots hold, a member that is not there included, written as the most of them write it; of
 * equally many as the truth does, else the first by its bytes.
 */
export function majorityOf(
  holdings: readonly Holding[],
  { total }: Court,
): Exclude<CellVerdict, 'contested'> | undefined {
  const sums = new Map<string | undefined, number>()
  for (const { cell, weight } of holdings) sums.set(cell?.said, (sums.get(cell?.said) ?? 0) + weight)
  for (const [said, sum] of sums) {
    if (!isMajority(sum, total)) continue
    const agreeing = holdings.filter(({ cell }) => cell?.said === said)
    return { raw: rawOf(agreeing), agreeing: new Set(agreeing.map(({ version }) => version)) }
  }
  return undefined
}

export function rawOf(agreeing: readonly Holding[]): string | undefined {
  const forms = new Map<string | undefined, { raw: string | undefined; weight: number; isTruth: boolean }>()
  for (const { cell, weight, isTruth } of agreeing) {
    const form = forms.get(cell?.raw) ?? { raw: cell?.raw, weight: 0, isTruth: false }
    forms.set(cell?.raw, { raw: form.raw, weight: form.weight + weight, isTruth: form.isTruth || isTruth })
  }
  const [first] = [...forms.values()].sort(
    (a, b) =>
      b.weight - a.weight || Number(b.isTruth) - Number(a.isTruth) || comparePaths(a.raw ?? '', b.raw ?? ''),
  )
  return first?.raw
}

/** A cell's name: its entry's and its column's, as one row of CSV. */
export function cellName(key: Uint8Array, column: string): Uint8Array {
  return encoder.encode(`${decoder.decode(key)},${csvField(columnName(column))}`)
}

/** What each ballot says in one column, for the statistics of agreement. */
export function ratingsOf<T>(
  holdings: readonly Holding[],
  { peers, versions }: Court,
  rating: (cell: Cell | undefined) => T | undefined,
): (T | undefined)[] {
  const ratings: (T | undefined)[] = new Array(peers.length).fill(undefined)
  for (const { version, cell } of holdings) {
    const said = rating(cell)
    for (const i of versions[version]?.ballots ?? []) ratings[i] = said
  }
  return ratings
}
