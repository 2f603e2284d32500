/**
 * Does what decisions.ts says. A vote is put into the registry, which makes it durable before anybody hears of it, and
 * the registry is asked again right before: a member signs once in a round, also when it crashes in between.
 */
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { candidateRetryMs, recordBytesMax, roundRecordsLifeMs, roundWordsKeptMax } from '../base/limits.ts'
import type { Logger } from '../base/logger.ts'
import { encodeJson } from '../registry/collection.ts'
import type { Registry } from '../registry/registry.ts'
import { assembleCertificate } from './certificate.ts'
import type { Counting } from './counting.ts'
import { openingOf } from './opening.ts'
import type { Action, Outcome, Situation } from './plan.ts'
import type { Pledges } from './pledges.ts'
import { preparedRecord } from './prepared.ts'
import { quorumOf, votersOf } from './quorum.ts'
import { type Confirmation, closingOf, parseValue, type Vote, voteSchema } from './records.ts'
import type { Prepared } from './round.ts'
import {
  ballotKey,
  closingKey,
  confirmationKey,
  formatRoundId,
  openingKey,
  preparedKey,
  type RoundId,
  truthKey,
  voteKey,
} from './round-id.ts'
import { PLAIN_TERMS } from './terms.ts'

export interface DutiesParts {
  readonly self: string
  readonly registry: Pick<Registry, 'get' | 'put'>
  readonly counting: Pick<Counting, 'count'>
  readonly pledges: Pick<Pledges, 'keep'>
  readonly clock: Clock
  readonly log: Logger
  /** Told once of each record that this node will not sign. */
  readonly onRefused: (id: RoundId, reason: string) => void
}

/** What the certificate's own envelope and the keys around the value take at most. */
const certificateBytesMax = recordBytesMax - 2_048

export class Duties {
  readonly #parts: DutiesParts
  /** By hash of the closing. */
  readonly #outcomes = new Map<string, Outcome>()
  readonly #refused = new Set<string>()
  /** Counting that failed is tried again not before then. */
  readonly #retryMs = new Map<string, number>()

  constructor(parts: DutiesParts) {
    this.#parts = parts
  }

  get outcomes(): ReadonlyMap<string, Outcome> {
    return this.#outcomes
  }

  /** @returns true when something changed and the round is to be looked at again. */
  async perform(action: Action, situation: Situation, signal: AbortSignal): Promise<boolean> {
    const { id } = situation.records
    const round = formatRoundId(id)
    switch (action.do) {
      case 'open':
        return this.#open(id, situation, action.windowMs)
      case 'cast':
        await this.#put(ballotKey(round, this.#parts.self), action.ballot)
        return true
      case 'close':
        await this.#put(closingKey(round), closingOf(action.opening.hash, action.ballots))
        return true
      case 'count':
        return this.#count(id, action, signal)
      case 'vote':
        return this.#sign(voteKey(round, this.#parts.self), action)
      case 'confirm':
        return this.#confirm(round, action.prepared, situation)
      case 'show':
        await this.#put(
          preparedKey(round, this.#parts.self),
          preparedRecord(action.prepared, situation.records.votes, situation.members),
        )
        return true
      case 'certify':
        return this.#certify(id, action.decision, situation)
      case 'bring':
        return this.#bring(truthKey(id.dataset))
      case 'refuse':
        return this.#refuse(id, action)
    }
  }

  /** Forgets what was counted and refused in a round that is over. */
  forget(id: RoundId, closings: readonly { hash: string }[]): void {
    for (const { hash } of closings) {
      this.#outcomes.delete(hash)
      this.#retryMs.delete(hash)
    }
    const round = `${formatRoundId(id)} `
    for (const name of this.#refused) if (name.startsWith(round)) this.#refused.delete(name)
  }

  async #open(id: RoundId, situation: Situation, windowMs: number): Promise<boolean> {
    const { self, clock } = this.#parts
    const { members, truth, latestMs, terms = PLAIN_TERMS } = situation
    const parts = { self, id, members, terms, truth, latestMs, windowMs, now: clock.now() }
    await this.#put(openingKey(formatRoundId(id)), openingOf({ ...parts, trigger: 'schedule' }))
    return true
  }

  async #count(id: RoundId, { opening, closing }: Extract<Action, { do: 'count' }>, signal: AbortSignal) {
    const { counting, clock, log } = this.#parts
    if (clock.now() < (this.#retryMs.get(closing.hash) ?? 0)) return false
    try {
      this.#outcomes.set(closing.hash, await counting.count(id, opening.value, closing.value, signal))
      return true
    } catch (error) {
      this.#retryMs.set(closing.hash, clock.now() + candidateRetryMs)
      log.warn({ round: formatRoundId(id), error: messageOf(error) }, 'the ballots cannot be counted yet')
      return false
    }
  }

  async #sign(key: string, { closing, commit, view }: Vote | Confirmation): Promise<boolean> {
    // [V1] Whatever was seen or planned: the registry remembers what this node signed.
    const present = this.#parts.registry.get(key)
    if (present !== undefined && !(viewOf(present.value) < view)) return false
    await this.#put(key, { closing, commit, view })
    return true
  }

  async #confirm(round: string, prepared: Prepared, { records, members }: Situation): Promise<boolean> {
    const { closing, commit, view } = prepared
    // [L5] What this node is locked on it has to be able to show, also after a crash.
    await this.#parts.pledges.keep(round, preparedRecord(prepared, records.votes, members))
    return this.#sign(confirmationKey(round, this.#parts.self), { closing: closing.hash, commit, view })
  }

  async #certify(id: RoundId, decision: Prepared, { members, records }: Situation): Promise<boolean> {
    const { opening, closing, commit, view, signers } = decision
    const sealed = records.confirmations
      .filter((said) => said.closing === closing.hash && said.commit === commit && said.view === view)
      .filter(({ peer }) => signers.includes(peer))
      .map(({ peer, sealed }) => [peer, sealed] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1))
    const value = (confirmations: readonly (readonly [string, Uint8Array])[]) =>
      assembleCertificate({
        round: id,
        opening,
        closing,
        commit,
        view,
        confirmations: new Map(confirmations),
      })
    let certificate = value(sealed)
    if (certificate.length > certificateBytesMax) {
      // Every signature beyond the quorum is welcome, and none is needed.
      const voters = votersOf(opening.value, members)
      certificate = value(sealed.slice(0, quorumOf(voters.size)))
    }
    await this.#parts.registry.put(truthKey(id.dataset), certificate)
    return true
  }

  /** The certificate as it is: it proves itself, whoever brings it. */
  async #bring(key: string): Promise<boolean> {
    const present = this.#parts.registry.get(key)
    if (present === undefined || present.author === this.#parts.self) return false
    await this.#parts.registry.put(key, present.value)
    return true
  }

  #refuse(id: RoundId, { record, reason }: Extract<Action, { do: 'refuse' }>): boolean {
    const name = `${formatRoundId(id)} ${record}`
    if (this.#refused.has(name)) return false
    this.#refused.add(name)
    const [oldest] = this.#refused
    if (this.#refused.size > roundWordsKeptMax && oldest !== undefined) this.#refused.delete(oldest)
    this.#parts.log.warn(
      { round: formatRoundId(id), reason },
      'this node does not sign a record of the round',
    )
    this.#parts.onRefused(id, reason)
    return false
  }

  async #put(key: string, value: object): Promise<void> {
    const expiresMs = this.#parts.clock.now() + roundRecordsLifeMs
    const bytes = value instanceof Uint8Array ? value : encodeJson(value)
    await this.#parts.registry.put(key, bytes, { expiresMs })
  }
}

/** The view of a vote or a confirmation; none that follows is later than one that cannot be read. */
function viewOf(value: Uint8Array): number {
  return parseValue(voteSchema, value)?.value.view ?? Number.POSITIVE_INFINITY
}
