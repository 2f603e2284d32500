/**
 * That a quorum voted for a result, in a form that can be shown to others (protocols/voting.md, [L5]): the votes are
 * records that their authors may replace by now, or may have sent to some only. Whoever confirmed something keeps this
 * beside it, and shows it where the confirmations do not come together.
 */
import { recordBytesMax } from '../base/limits.ts'
import { encodeJson } from '../registry/collection.ts'
import type { OpenRecord } from './certificate.ts'
import { quorumOf, type Voter, votersOf } from './quorum.ts'
import {
  type Closing,
  closingSchema,
  type Opening,
  openingSchema,
  type PreparedRecord,
  parseValue,
  preparedSchema,
  type Signed,
  voteSchema,
} from './records.ts'
import { isCounting, type Prepared } from './round.ts'
import { voteKey } from './round-id.ts'
import type { SeenVote } from './votes.ts'

export interface PreparedProof {
  readonly opening: Signed<Opening>
  readonly closing: Signed<Closing>
  readonly commit: string
  readonly view: number
  /** Sealed, by member. */
  readonly votes: ReadonlyMap<string, Uint8Array>
}

/** What the record's own envelope and the key take at most. */
const valueBytesMax = recordBytesMax - 2_048

/** The value that shows a quorum of votes for `prepared`; of large electorates no more votes than decide. */
export function preparedRecord(
  prepared: Prepared,
  seen: readonly SeenVote[],
  members: readonly Voter[],
): Uint8Array {
  const { opening, closing, commit, view, signers } = prepared
  const about = seen.filter((vote) => {
    const isIt = vote.closing === closing.hash && vote.commit === commit && vote.view === view
    return isIt && signers.includes(vote.peer)
  })
  const votes = new Map(about.map(({ peer, sealed }) => [peer, Buffer.from(sealed).toString('base64')]))
  const sorted = [...votes].sort(([a], [b]) => (a < b ? -1 : 1))
  const value = (some: typeof sorted) => {
    const texts = { opening: textOf(opening), closing: textOf(closing) }
    return encodeJson({ commit, ...texts, view, votes: Object.fromEntries(some) } satisfies PreparedRecord)
  }
  const whole = value(sorted)
  if (whole.length <= valueBytesMax) return whole
  const present = sorted.filter(([peer]) => members.some((member) => member.peer === peer))
  return value(present.slice(0, quorumOf(votersOf(opening.value, members).size)))
}

function textOf({ bytes }: Signed<unknown>): string {
  return new TextDecoder().decode(bytes)
}

/** Undefined for what has another form, or does not hang together. No signature is checked. */
export function readPrepared(value: Uint8Array): PreparedProof | undefined {
  const record = parseValue(preparedSchema, value)?.value
  if (record === undefined) return undefined
  const text = new TextEncoder()
  const opening = parseValue(openingSchema, text.encode(record.opening))
  const closing = parseValue(closingSchema, text.encode(record.closing))
  if (opening === undefined || closing === undefined || !isCounting(closing.value, opening)) return undefined
  const { electorate, openedMs } = opening.value
  const voters = Object.entries(record.votes)
  if (record.view < openedMs || !voters.every(([peer]) => electorate.includes(peer))) return undefined
  const votes = new Map(voters.map(([peer, sealed]) => [peer, Buffer.from(sealed, 'base64')]))
  return { opening, closing, commit: record.commit, view: record.view, votes }
}

/** Those of the votes that hold: signed by whom they are said to be of, for this result in this view. */
export async function openVotes(
  round: string,
  { opening, closing, commit, view, votes }: PreparedProof,
  open: OpenRecord,
  seenMs: number,
): Promise<SeenVote[]> {
  const held: SeenVote[] = []
  for (const [peer, sealed] of votes) {
    // What does not open counts nothing; who shows it is of no matter.
    const record = await open(sealed).catch(() => undefined)
    if (record?.author !== peer || record.key !== voteKey(round, peer)) continue
    const vote = parseValue(voteSchema, record.value)?.value
    if (vote?.closing !== closing.hash || vote.commit !== commit || vote.view !== view) continue
    held.push(asSeen(peer, sealed, { opening, closing, commit, view }, seenMs))
  }
  return held
}

/** What this node has checked before. */
export function votesOf(proof: PreparedProof, seenMs: number): SeenVote[] {
  return [...proof.votes].map(([peer, sealed]) => asSeen(peer, sealed, proof, seenMs))
}

function asSeen(
  peer: string,
  sealed: Uint8Array,
  { opening, closing, commit, view }: Omit<PreparedProof, 'votes'>,
  seenMs: number,
): SeenVote {
  // When it was signed is its author's word, and whether a quorum is one does not hang on that.
  return { peer, closing: closing.hash, commit, view, timeMs: opening.value.cutoffMs, seenMs, sealed }
}
