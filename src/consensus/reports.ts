/** Makes the reports of rounds: counts the ballots that a round has, and remembers what was found. */
import { messageOf } from '../base/errors.ts'
import { reportsKeptMax } from '../base/limits-consensus.ts'
import type { Counting } from './counting.ts'
import type { Ballot, Opening } from './records.ts'
import { type Findings, findingsOf, type RoundReport, reportOf } from './report.ts'
import type { RoundView } from './views.ts'

/** The ballots of a round that a report is about. */
export interface CountedBallots {
  readonly opening: Opening
  readonly ballots: ReadonlyMap<string, Ballot>
  /** Nothing is closed yet. */
  readonly provisional: boolean
}

/** Ballots without what else was seen of them. */
export function ballotsOf(seen: ReadonlyMap<string, Ballot>): ReadonlyMap<string, Ballot> {
  return new Map([...seen].map(([peer, { commit, tree }]) => [peer, { commit, tree }]))
}

export interface ReportsParts {
  readonly counting: Pick<Counting, 'counted'>
  /** Nothing is fetched to show what nobody here wants. */
  readonly follows: (dataset: string) => boolean
}

export class Reports {
  readonly #parts: ReportsParts
  /** By round and the ballots that were counted, the latest last. */
  readonly #findings = new Map<string, Promise<Findings>>()

  constructor(parts: ReportsParts) {
    this.#parts = parts
  }

  async of(round: RoundView, counted: CountedBallots, signal: AbortSignal): Promise<RoundReport> {
    const { ballots, provisional } = counted
    const shape = { round, provisional, ballots }
    if (ballots.size === 0) return reportOf({ ...shape, findings: 'no ballot is here yet' })
    if (!this.#parts.follows(round.dataset)) {
      return reportOf({ ...shape, findings: 'this node keeps no copy of the dataset' })
    }
    try {
      return reportOf({ ...shape, findings: await this.#found(round, counted, signal) })
    } catch (error) {
      return reportOf({ ...shape, findings: messageOf(error) })
    }
  }

  #found(round: RoundView, { opening, ballots }: CountedBallots, signal: AbortSignal): Promise<Findings> {
    const sorted = [...ballots].sort(([a], [b]) => (a < b ? -1 : 1))
    const name = JSON.stringify([round.id, opening.parent, opening.method, opening.weights, sorted])
    const known = this.#findings.get(name)
    if (known !== undefined) return known
    const finding = this.#count(round.dataset, opening, sorted, signal)
    this.#findings.set(name, finding)
    finding.catch(() => this.#findings.delete(name))
    const [oldest] = this.#findings.keys()
    if (this.#findings.size > reportsKeptMax && oldest !== undefined) this.#findings.delete(oldest)
    return finding
  }

  async #count(
    dataset: string,
    opening: Opening,
    ballots: readonly (readonly [string, Ballot])[],
    signal: AbortSignal,
  ): Promise<Findings> {
    const closing = { ballots: Object.fromEntries(ballots) }
    const { count, tally } = await this.#parts.counting.counted(dataset, opening, closing, signal)
    return findingsOf(count, tally)
  }
}
