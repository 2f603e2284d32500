/** Rounds that people and programs ask for at this node: what is in the way of one, and its opening. */
import type { Clock } from '../base/clock.ts'
import { NodeError } from '../base/errors.ts'
import { roundRecordsLifeMs, roundWindowDefaultMs } from '../base/limits.ts'
import { parseName } from '../base/names.ts'
import { SerialQueue } from '../base/serial-queue.ts'
import { whyReserved } from '../datasets/branches.ts'
import type { Datasets } from '../datasets/datasets.ts'
import { encodeJson } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import type { GroundTruth } from './ground-truth.ts'
import { openingOf } from './opening.ts'
import type { Voter } from './quorum.ts'
import { formatRoundId, openingKey, parseRoundId, type RoundId } from './round-id.ts'
import type { RoundTerms } from './round-terms.ts'

export interface OpenOptions {
  /** How long ballots are taken, ms. */
  readonly windowMs?: number
  /** The round's time where it is agreed on elsewhere, ms since the epoch; the present by default. */
  readonly slot?: number
}

/** As much of a dataset's rounds as a new one has to know. */
export interface RoundsBefore {
  latestMs(): number
  underWay(): RoundId | undefined
}

export interface RoundRequestsParts<Rounds extends RoundsBefore> {
  readonly self: string
  readonly registry: Pick<Registry, 'get' | 'put'>
  readonly datasets: Pick<Datasets, 'find'>
  readonly truth: Pick<GroundTruth, 'truth'>
  readonly terms: Pick<RoundTerms, 'prepare' | 'of'>
  /** Who votes on a dataset. */
  readonly members: (dataset: string) => readonly Voter[]
  readonly nameOf: (peer: string) => string
  readonly roundsOf: (dataset: string) => Rounds | undefined
  readonly clock: Clock
}

/** Requests that wait for those before them. */
const requestsWaitingMax = 100

export class RoundRequests<Rounds extends RoundsBefore> {
  readonly #parts: RoundRequestsParts<Rounds>
  /** One after the other, so that each sees the round that the one before it opened. */
  readonly #queue = new SerialQueue(requestsWaitingMax)

  constructor(parts: RoundRequestsParts<Rounds>) {
    this.#parts = parts
  }

  /**
   * Opens a round on the present heads of `step`.
   *
   * @throws NodeError DATASET_NOT_FOUND, INVALID_NAME, INVALID_INPUT (window, slot), CONFLICT while another round of the
   * dataset is under way, ALREADY_EXISTS, DATASET_WITHHELD where nobody else could look into a ballot.
   */
  open(
    dataset: string,
    step: string,
    options: OpenOptions,
    signal: AbortSignal,
  ): Promise<{ round: string; rounds: Rounds }> {
    parseName('step', step)
    const why = whyReserved(step)
    if (why !== undefined) {
      throw new NodeError('INVALID_NAME', `${step} ${why}; there are no rounds on it`, { step })
    }
    return this.#queue.run(() => this.#open(dataset, step, options, signal))
  }

  async #open(
    dataset: string,
    step: string,
    { windowMs = roundWindowDefaultMs, slot }: OpenOptions,
    signal: AbortSignal,
  ) {
    const { self, registry, clock, terms } = this.#parts
    const now = clock.now()
    const id: RoundId = { dataset, step, slot: slot ?? now }
    const round = formatRoundId(id)
    if (parseRoundId(round) === undefined) {
      throw new NodeError('INVALID_INPUT', `${slot} is no slot: whole milliseconds since the epoch`, { slot })
    }
    const truth = await this.#parts.truth.truth(dataset)
    this.#checkVotable(dataset)
    const rounds = this.#parts.roundsOf(dataset)
    if (rounds === undefined) {
      throw new NodeError('DATASET_NOT_FOUND', `No dataset is named ${dataset}`, { name: dataset })
    }
    if (registry.get(openingKey(round)) !== undefined) {
      throw new NodeError('ALREADY_EXISTS', `Round ${round} was opened already`, { round })
    }
    const other = rounds.underWay()
    if (other !== undefined) {
      const message = `Round ${formatRoundId(other)} of this dataset is under way; wait until it has ended`
      throw new NodeError('CONFLICT', message, { round: formatRoundId(other) })
    }
    await terms.prepare(dataset, signal)
    const opening = openingOf({
      ...{ self, id, truth, windowMs, now, trigger: 'request', latestMs: rounds.latestMs() },
      members: this.#parts.members(dataset),
      terms: terms.of(dataset),
    })
    await registry.put(openingKey(round), encodeJson(opening), { expiresMs: now + roundRecordsLifeMs })
    return { round, rounds }
  }

  /** @throws NodeError DATASET_WITHHELD */
  #checkVotable(dataset: string): void {
    const known = this.#parts.datasets.find(dataset)
    if (known === undefined || known.policy === 'shared') return
    const { policy } = known
    const why =
      policy === 'local-only'
        ? 'it is local-only, so there is nobody to agree with; its ground truth is the newest commit of this node'
        : `it is compute-only, so nobody but ${this.#parts.nameOf(known.owner)} could look into a ballot; let results go into a shared dataset, and vote on that`
    throw new NodeError('DATASET_WITHHELD', `There are no rounds on ${dataset}: ${why}`, { dataset, policy })
  }
}
