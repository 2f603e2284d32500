/**
 * What is written in a round (protocols/voting.md §3): JSON values under their keys. Records name each other by the
 * SHA-256 of the value's bytes as they were signed, so nobody has to agree on how JSON is written down.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { electorateMax } from '../base/limits.ts'
import { base64Schema } from '../base/schemas.ts'
import { methodSchema } from '../datasets/truth-rule.ts'
import { decodeJson } from '../registry/collection.ts'
import { parseRoundId } from './round-id.ts'

const oid = z.string().regex(/^[0-9a-f]{40}$/)
const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const peer = z.string().regex(/^[A-Za-z0-9]{1,100}$/)
const time = z.number().int().nonnegative()
const height = z.number().int().positive()
/** Which of the votes on a result: the round's `openedMs` at first, a later time where it is voted on again; ms. */
const view = time

const electorate = z
  .array(peer)
  .min(1)
  .max(electorateMax)
  .refine((peers) => peers.every((p, i) => i === 0 || (peers[i - 1] as string) < p), 'is not sorted')

export const openingSchema = z.strictObject({
  /** Peer ids of those who vote, sorted: the members when the round was opened. */
  electorate,
  /** How the result is made from the ballots: word for word what the dataset's rule says. */
  method: methodSchema,
  /** Whether each member casts its present head, the output of its scheduled run of the slot, or what a person chooses. */
  trigger: z.enum(['request', 'schedule', 'hand']),
  quorum: z.strictObject({
    /** A closing counts ballots of so many members at least. */
    ballots: z.number().int().positive().max(electorateMax),
    /** Votes of so many of the electorate decide: always more than two thirds. */
    votes: z.number().int().positive().max(electorateMax),
    /** Where results are repeated less: the ballot of one of these is enough for a closing. */
    proven: z.array(peer).min(1).max(electorateMax).optional(),
  }),
  /** What each member's ballot weighs, where the method weighs; in thousandths. */
  weights: z.record(peer, z.number().int().min(1).max(1_000)).optional(),
  /** The truth that the result follows; null where there is none yet. */
  parent: oid.nullable(),
  /** The number of certified truths that the result ends: the first has 1. */
  height,
  /** When it was opened; later than its parent was, so that truths have an order that nobody can forge into the past. */
  openedMs: time,
  /** Ballots count until then. */
  cutoffMs: time,
  /** Votes count until then. */
  votesUntilMs: time,
  openedBy: peer,
})
export type Opening = z.infer<typeof openingSchema>

export const ballotSchema = z.strictObject({ commit: oid, tree: oid })
export type Ballot = z.infer<typeof ballotSchema>

export const closingSchema = z.strictObject({
  /** Hash of the opening's value. */
  opening: sha256,
  /** The ballots that are counted, by member. */
  ballots: z.record(peer, ballotSchema),
})
export type Closing = z.infer<typeof closingSchema>

export const voteSchema = z.strictObject({
  /** Hash of the closing's value. */
  closing: sha256,
  /** The result that the voter computed from it; null says that it counted the ballots and found no majority. */
  commit: oid.nullable(),
  view,
})
export type Vote = z.infer<typeof voteSchema>

export const confirmationSchema = z.strictObject({
  /** Hash of the closing's value. */
  closing: sha256,
  /** The result that a quorum voted for in this view. */
  commit: oid,
  view,
})
export type Confirmation = z.infer<typeof confirmationSchema>

export const certificateSchema = z.strictObject({
  round: z.string().refine((text) => parseRoundId(text) !== undefined, 'names no round'),
  commit: oid,
  parent: oid.nullable(),
  height,
  /** The signed values of both records, byte for byte, as text. */
  opening: z.string(),
  closing: z.string(),
  view,
  /** The sealed confirmation of each signer, base64. */
  confirmations: z.record(peer, base64Schema),
})
export type Certificate = z.infer<typeof certificateSchema>

/** That a quorum voted for a result in one view, as whoever confirmed it can show it to the others. */
export const preparedSchema = z.strictObject({
  commit: oid,
  opening: z.string(),
  closing: z.string(),
  view,
  /** The sealed vote of each voter, base64. */
  votes: z.record(peer, base64Schema),
})
export type PreparedRecord = z.infer<typeof preparedSchema>

/** A value as it was signed, with what it says and the name that other records call it by. */
export interface Signed<T> {
  readonly value: T
  readonly bytes: Uint8Array
  readonly hash: string
}

/** A member's claim to a contested record of the round. */
export interface Claim<T> extends Signed<T> {
  readonly author: string
  /** When it reached this node. */
  readonly seenMs: number
}

/** SHA-256 of a record's value, hex. */
export function valueHash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Undefined when the bytes do not say what the schema asks for. */
export function parseValue<T>(schema: z.ZodType<T>, bytes: Uint8Array): Signed<T> | undefined {
  const parsed = schema.safeParse(decodeJson(bytes))
  return parsed.success ? { value: parsed.data, bytes, hash: valueHash(bytes) } : undefined
}

/** The closing's value. Members are sorted, so that two closers who count the same ballots write the same bytes. */
export function closingOf(opening: string, ballots: ReadonlyMap<string, Ballot>): Closing {
  const sorted = [...ballots].sort(([a], [b]) => (a < b ? -1 : 1))
  const counted = sorted.map(([member, { commit, tree }]) => [member, { commit, tree }])
  return { opening, ballots: Object.fromEntries(counted) }
}
