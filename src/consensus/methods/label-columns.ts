/** Method `dawid-skene` (protocols/methods.md §8): labels by the EM algorithm, over all entries and members of the file. */
import { labelKindsMax } from '../../base/limits-consensus.ts'
import { comparePaths } from '../paths.ts'
import { AgreementTally } from '../statistics/agreement.ts'
import { type DawidSkene, dawidSkeneInTurns, type Label } from '../statistics/dawid-skene.ts'
import {
  type CellEntry,
  type CellVerdict,
  type Holding,
  type MeasuredColumns,
  majorityOf,
  ratingsOf,
  rawOf,
} from './cell-judge.ts'
import { type Cell, columnName, isMeasured, isNothing } from './cells.ts'
import type { Court } from './court.ts'
import type { EntryMethod } from './file-merge.ts'
import { weightOf } from './judge.ts'
import { quoted } from './uncountable.ts'
import { isMajority } from './weights.ts'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
/** Larger matrices are nothing to read. */
const SHOWN_KINDS = 6

/** What is said in one column: by entry, by place of the member. */
type Said = Map<string, (string | undefined)[]>

interface Estimated {
  readonly winners: ReadonlyMap<string, string | undefined>
  readonly kinds: readonly string[]
  readonly estimate: DawidSkene
}

export class LabelColumns implements MeasuredColumns {
  readonly agreement: AgreementTally
  readonly #method: EntryMethod
  readonly #court: Court
  readonly #said = new Map<string, Said>()
  readonly #estimated = new Map<string, Estimated>()

  constructor(method: EntryMethod, court: Court) {
    this.#method = method
    this.#court = court
    this.agreement = new AgreementTally({ level: 'nominal', raters: court.peers.length })
  }

  /**
   * Entries that cannot stand, and columns of an entry in which no more than half have a label, have no part in it: nobody
   * drowns the others' labels in his own.
   */
  study({ key, cells }: CellEntry, present: boolean): void {
    if (!present) return
    const { peers, versions } = this.#court
    const entry = decoder.decode(key)
    const names = new Set(cells.flatMap(({ cells: own }) => [...own.byName.keys()]))
    for (const name of names) {
      if (!isMeasured(this.#method, name)) continue
      const labelled = cells.filter(({ cells: own }) => this.#isLabel(own.byName.get(name)))
      if (
        !isMajority(
          weightOf(
            labelled.map(({ spoken }) => spoken.version),
            this.#court,
          ),
          this.#court.total,
        )
      )
        continue
      const row = new Array<string | undefined>(peers.length).fill(undefined)
      for (const { spoken, cells: own } of labelled) {
        for (const i of versions[spoken.version]?.ballots ?? []) row[i] = own.byName.get(name)?.said
      }
      const column: Said = this.#said.get(name) ?? new Map()
      this.#said.set(name, column.set(entry, row))
    }
  }

  /** @throws the signal's reason */
  async studied(signal?: AbortSignal): Promise<void> {
    const columns = this.#said.size
    for (const [name, said] of [...this.#said].sort(([a], [b]) => comparePaths(a, b))) {
      this.#estimated.set(name, await estimated(said, this.#court.peers.length, { columns, signal }))
    }
    this.#said.clear()
  }

  judge({ key }: CellEntry, name: string, holdings: readonly Holding[]): CellVerdict {
    this.agreement.add(
      ratingsOf(holdings, this.#court, (cell) => (this.#isLabel(cell) ? cell?.said : undefined)),
    )
    const silent = holdings.filter(({ cell }) => !this.#isLabel(cell))
    const nothing = majorityOf(silent, this.#court)
    if (nothing !== undefined) return nothing
    const winner = this.#estimated.get(name)?.winners.get(decoder.decode(key))
    if (winner === undefined) return 'contested'
    const agreeing = holdings.filter(({ cell }) => cell?.said === winner)
    // An estimate may be a label that nobody gave here; what stands in the file is what somebody wrote.
    if (
      weightOf(
        agreeing.map(({ version }) => version),
        this.#court,
      ) === 0
    )
      return 'contested'
    return { raw: rawOf(agreeing), agreeing: new Set(agreeing.map(({ version }) => version)) }
  }

  #isLabel(cell: Cell | undefined): boolean {
    return !isNothing(cell?.said, this.#court.frame)
  }

  notes(): string[] {
    return [...this.#estimated].flatMap(([column, { kinds, estimate }]) => {
      const name = columnName(column)
      const { shares, confusion, iterations, logLikelihood } = estimate
      const head = `${quoted(name)}: ${kinds.length} labels, log-likelihood ${logLikelihood.toFixed(5)} after ${iterations} iterations`
      if (kinds.length > SHOWN_KINDS) return [head]
      const line = (values: readonly number[]) =>
        kinds.map((kind, i) => `${quoted(kind)} ${(values[i] ?? 0).toFixed(2)}`).join(', ')
      const matrices = confusion.flatMap((rows, rater) =>
        rows.flatMap((row, kind) =>
          row === undefined
            ? []
            : [`${this.#court.peers[rater]} says of ${quoted(kinds[kind] ?? '')}: ${line(row)}`],
        ),
      )
      return [head, `${quoted(name)}: shares ${line(shares)}`, ...matrices]
    })
  }
}

/** Entries by their names' bytes, labels by theirs: everybody counts in the same order. */
async function estimated(
  said: Said,
  raters: number,
  options: { readonly columns: number; readonly signal: AbortSignal | undefined },
): Promise<Estimated> {
  const kinds = kindsOf(said, raters)
  const code = new Map(kinds.map((kind, i) => [kind, i]))
  const entries = [...said.keys()].sort(comparePaths)
  const labels: Label[] = []
  for (const [item, entry] of entries.entries()) {
    for (const [rater, kind] of (said.get(entry) ?? []).entries()) {
      const label = kind === undefined ? undefined : code.get(kind)
      if (label !== undefined) labels.push({ item, rater, label })
    }
  }
  const sizes = { items: entries.length, raters, classes: kinds.length }
  const estimate = await dawidSkeneInTurns(labels, sizes, options)
  const winners = new Map(
    entries.map((entry, item) => {
      const label = estimate.labels[item]
      return [entry, label === undefined ? undefined : kinds[label]]
    }),
  )
  return { winners, kinds, estimate }
}

/** Those that the most members use, then the most frequent, then the first by their bytes; the others are not counted. */
function kindsOf(said: Said, raters: number): string[] {
  const users = new Map<string, { count: number; by: Set<number> }>()
  for (const row of said.values()) {
    for (let rater = 0; rater < raters; rater += 1) {
      const kind = row[rater]
      if (kind === undefined) continue
      const user = users.get(kind) ?? { count: 0, by: new Set() }
      user.count += 1
      user.by.add(rater)
      users.set(kind, user)
    }
  }
  return [...users]
    .sort(([a, x], [b, y]) => y.by.size - x.by.size || y.count - x.count || comparePaths(a, b))
    .slice(0, labelKindsMax)
    .map(([kind]) => kind)
    .sort(comparePaths)
}
