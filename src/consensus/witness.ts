/** Notices what members sign twice, keeps it, and says so (protocols/voting.md, [E1]). */
import { messageOf } from '../base/errors.ts'
import { wordsWatchedMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { type Equivocation, equivocationsIn } from './equivocation.ts'
import type { Evidence } from './evidence.ts'
import type { RoundRecords } from './round.ts'
import { formatRoundId, parseRoundId } from './round-id.ts'
import type { Sightings } from './sightings.ts'
import type { ConsensusEvent } from './views.ts'
import type { SeenConfirmation, SeenVote } from './votes.ts'

export interface WitnessParts {
  readonly sightings: Pick<Sightings, 'records' | 'watches'>
  readonly evidence: Pick<Evidence, 'add'>
  readonly emit: (event: ConsensusEvent) => void
  readonly log: Logger
}

interface Heard {
  readonly round: string
  readonly word: SeenVote | SeenConfirmation
}

export class Witness {
  readonly #parts: WitnessParts
  /** By dataset, member, kind and view, the oldest first: in one view of a dataset nobody honest votes twice. */
  readonly #heard = new Map<string, Heard>()

  constructor(parts: WitnessParts) {
    this.#parts = parts
  }

  /** Something of the round was heard. */
  look(round: string): void {
    const id = parseRoundId(round)
    const { sightings } = this.#parts
    if (id === undefined || !sightings.watches(round)) return
    const records = sightings.records(id, [])
    for (const found of [...equivocationsIn(records), ...this.#elsewhere(records)]) void this.#keep(found)
  }

  /** Words of one view in two rounds. */
  #elsewhere(records: RoundRecords): Equivocation[] {
    const round = formatRoundId(records.id)
    const { votes, confirmations } = records
    return [
      ...votes.flatMap((word) => this.#against('two-votes', round, records.id.dataset, word)),
      ...confirmations.flatMap((word) => this.#against('two-confirmations', round, records.id.dataset, word)),
    ]
  }

  #against(
    what: 'two-votes' | 'two-confirmations',
    round: string,
    dataset: string,
    word: SeenVote | SeenConfirmation,
  ): Equivocation[] {
    const { peer, view } = word
    const name = `${dataset} ${peer} ${what} ${view}`
    const known = this.#heard.get(name)
    if (known === undefined) {
      this.#heard.set(name, { round, word })
      const [oldest] = this.#heard.keys()
      if (this.#heard.size > wordsWatchedMax && oldest !== undefined) this.#heard.delete(oldest)
      return []
    }
    if (known.round === round) return []
    const said = [known.word.commit, word.commit] as const
    return [{ round, peer, what, said, sealed: [known.word.sealed, word.sealed] }]
  }

  async #keep(found: Equivocation): Promise<void> {
    const { evidence, emit, log } = this.#parts
    const { round, peer, what } = found
    try {
      if (!(await evidence.add(found))) return
    } catch (error) {
      log.warn({ round, peer, error: messageOf(error) }, 'evidence against a member cannot be kept')
      return
    }
    log.warn({ round, peer, what }, 'a member signed two different things')
    emit({ type: 'equivocation', dataset: round.slice(0, round.indexOf('/')), round, peer, what })
  }
}
