/**
 * Looks into the commits of ballots in the background: one that cannot be had now is tried again as long as its round
 * lasts, and holds up no other.
 */
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { candidateRetryMs, roundWordsKeptMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import type { Method } from '../datasets/truth-rule.ts'
import type { Counting } from './counting.ts'
import type { RoundRecords, SeenBallot } from './round.ts'
import { formatRoundId, type RoundId } from './round-id.ts'
import type { Sightings } from './sightings.ts'

export interface InspectionParts {
  readonly counting: Pick<Counting, 'examine'>
  readonly sightings: Pick<Sightings, 'examined'>
  /** Told after each ballot that was looked into. */
  readonly onExamined: () => void
  readonly nameOf: (peer: string) => string
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
}

export class Inspection {
  readonly #parts: InspectionParts
  /** Ballots that are being looked into, and when one that failed may be tried again. */
  readonly #notBeforeMs = new Map<string, number>()

  constructor(parts: InspectionParts) {
    this.#parts = parts
  }

  /** Begins to look into every ballot of the round that is new, or whose next attempt is due. */
  begin({ id, ballots, openings }: RoundRecords, method: Method): void {
    const now = this.#parts.clock.now()
    const untilMs = Math.max(0, ...openings.map(({ value }) => value.votesUntilMs))
    for (const ballot of ballots) {
      const name = `${nameOf(id, ballot)} ${method.name}`
      if (!isOpen(ballot, method) || now >= untilMs || now < (this.#notBeforeMs.get(name) ?? 0)) continue
      this.#notBeforeMs.set(name, Number.MAX_SAFE_INTEGER)
      void this.#lookInto(id, ballot, method)
    }
  }

  /** A commit came by itself: a ballot that waits for a fetch of it, or for its next attempt, need not wait longer. */
  arrived({ id, ballots }: RoundRecords, method: Method, commit: string): void {
    for (const ballot of ballots) {
      if (isOpen(ballot, method) && ballot.commit === commit) void this.#lookInto(id, ballot, method)
    }
  }

  async #lookInto(id: RoundId, ballot: SeenBallot, method: Method): Promise<void> {
    const { counting, sightings, onExamined, nameOf: memberName, clock, log, signal } = this.#parts
    const name = `${nameOf(id, ballot)} ${method.name}`
    try {
      const defect = await counting.examine(id.dataset, ballot, method, signal)
      sightings.examined(formatRoundId(id), ballot.peer, ballot, defect, JSON.stringify(method))
      this.#notBeforeMs.delete(name)
      onExamined()
    } catch (error) {
      if (signal.aborted) return
      this.#notBeforeMs.set(name, clock.now() + candidateRetryMs)
      const [oldest] = this.#notBeforeMs.keys()
      if (this.#notBeforeMs.size > roundWordsKeptMax && oldest !== undefined) this.#notBeforeMs.delete(oldest)
      const what = { round: formatRoundId(id), member: memberName(ballot.peer), error: messageOf(error) }
      log.info(what, 'the commit of a ballot cannot be had yet')
    }
  }
}

/** Nobody has looked into its commit yet, or by another method. */
function isOpen({ readyMs, defect, examinedBy }: SeenBallot, method: Method): boolean {
  return (readyMs === undefined && defect === undefined) || examinedBy !== JSON.stringify(method)
}

function nameOf(id: RoundId, { peer, commit }: SeenBallot): string {
  return `${formatRoundId(id)} ${peer} ${commit}`
}
