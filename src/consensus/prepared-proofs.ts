/**
 * Takes in the quorums of votes that members show (prepared.ts), after checking their signatures, and those that this
 * node has kept for itself.
 */
import type { Clock } from '../base/clock.ts'
import type { Registry } from '../registry/registry.ts'
import type { OpenRecord } from './certificate.ts'
import type { Pledges } from './pledges.ts'
import { openVotes, type PreparedProof, readPrepared, votesOf } from './prepared.ts'
import { isDecisive, type Voter } from './quorum.ts'
import { formatRoundId, parseRoundId, preparedKey, type RoundId } from './round-id.ts'
import type { Sightings } from './sightings.ts'
import type { SeenVote } from './votes.ts'

export interface PreparedProofsParts {
  readonly self: string
  readonly registry: Pick<Registry, 'get'>
  readonly sightings: Pick<Sightings, 'learn'>
  readonly pledges: Pick<Pledges, 'get' | 'of' | 'drop'>
  readonly open: OpenRecord
  readonly clock: Clock
}

interface Opened {
  readonly proof: PreparedProof
  readonly votes: readonly SeenVote[]
}

export class PreparedProofs {
  readonly #parts: PreparedProofsParts
  readonly #opened = new WeakMap<Uint8Array, Opened | undefined>()
  readonly #learnt = new WeakSet<Uint8Array>()

  constructor(parts: PreparedProofsParts) {
    this.#parts = parts
  }

  /** Takes up what was confirmed before a restart. @returns the rounds that this is about. */
  recall(dataset: string, sinceMs: number): RoundId[] {
    const { self, pledges, sightings, clock } = this.#parts
    return pledges.of(dataset).flatMap(([round, value]) => {
      const [id, proof] = [parseRoundId(round), readPrepared(value)]
      if (id === undefined || proof === undefined || proof.opening.value.openedMs < sinceMs) return []
      sightings.learn(round, self, proof, votesOf(proof, clock.now()))
      return [id]
    })
  }

  /** Reads what members show of the round. @returns true when something was new. */
  async take(id: RoundId, members: readonly Voter[]): Promise<boolean> {
    const { registry, sightings, clock } = this.#parts
    const round = formatRoundId(id)
    let found = this.#remember(round)
    for (const { peer } of members) {
      const value = registry.get(preparedKey(round, peer))?.value
      if (value === undefined || this.#learnt.has(value)) continue
      const shown = await this.#open(round, value)
      const voters = shown?.votes.map((vote) => vote.peer) ?? []
      // An opening that no quorum took part in is nobody's but its author's; more members may be known later.
      if (shown === undefined || !isDecisive(voters, shown.proof.opening.value, members)) continue
      this.#learnt.add(value)
      const seenMs = clock.now()
      sightings.learn(
        round,
        peer,
        shown.proof,
        shown.votes.map((vote) => ({ ...vote, seenMs })),
      )
      found = true
    }
    return found
  }

  /** Of a member's votes only a few are kept: what this node is locked on must not be crowded out by others. */
  #remember(round: string): boolean {
    const { self, pledges, sightings, clock } = this.#parts
    const value = pledges.get(round)
    if (value === undefined || this.#learnt.has(value)) return false
    this.#learnt.add(value)
    const proof = readPrepared(value)
    if (proof !== undefined) sightings.learn(round, self, proof, votesOf(proof, clock.now()))
    return true
  }

  /** Signatures are checked once. */
  async #open(round: string, value: Uint8Array): Promise<Opened | undefined> {
    if (!this.#opened.has(value)) {
      const proof = readPrepared(value)
      const votes = proof && (await openVotes(round, proof, this.#parts.open, 0))
      this.#opened.set(value, proof && votes && { proof, votes })
    }
    return this.#opened.get(value)
  }

  /** Forgets what is about heights that are decided. */
  async settle(dataset: string, height: number): Promise<void> {
    const { pledges } = this.#parts
    for (const [round, value] of pledges.of(dataset)) {
      const opening = readPrepared(value)?.opening.value
      if (opening === undefined || opening.height <= height) await pledges.drop(round)
    }
  }
}
