/**
 * What strangers and members ask of a member, and what it answers (protocols/join.md §3): one question and one answer
 * on a stream whose ends have proven who they are.
 */
import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import {
  contactLengthMax,
  dialTimeoutMs,
  joinFrameBytesMax,
  reasonLengthMax,
  requestContactsMax,
  requestMessageLengthMax,
} from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import { bytesSchema } from '../base/schemas.ts'
import { withDeadline } from '../base/wait.ts'
import type { ByteStream } from '../network/byte-stream.ts'
import { Frames } from '../network/frames.ts'
import type { Network } from '../network/network.ts'
import { contactsSchema } from './federation-policy.ts'

export const QUESTION_PROTOCOL = '/mao/join/1.1.0'

const federation = z.string().min(1).max(100)
const line = z.string().max(1_000)

const questionSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('request'),
    /** Left out by who knows no more than an address. */
    federation: federation.optional(),
    name: nameSchema,
    message: z.string().max(requestMessageLengthMax),
    contact: z.string().max(contactLengthMax),
  }),
  /** Who asked takes it back. */
  z.strictObject({ kind: z.literal('withdraw'), federation }),
  z.strictObject({ kind: z.literal('leave'), federation, reason: z.string().max(reasonLengthMax) }),
  /** An operator's sealed word that the membership of who is told has ended. */
  z.strictObject({ kind: z.literal('ended'), federation, record: bytesSchema }),
])
export type Question = z.infer<typeof questionSchema>
export type RequestQuestion = Extract<Question, { kind: 'request' }>

/** Why a request is not even kept, each with its code. */
const REFUSALS = [
  'NOT_FOUND',
  'FORBIDDEN',
  'RATE_LIMITED',
  'QUEUE_FULL',
  'NOT_OPERATOR',
  'CONFLICT',
  'MEMBER_NOT_FOUND',
] as const

const answerSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('admitted'), genesis: bytesSchema, name: nameSchema }),
  z.strictObject({
    kind: z.literal('pending'),
    federation,
    name: nameSchema,
    askedMs: z.int(),
    contacts: contactsSchema,
    /** Where other members answer, should this one be away. */
    addresses: z.array(z.string().max(500)).max(requestContactsMax),
  }),
  z.strictObject({
    kind: z.literal('denied'),
    federation,
    name: nameSchema,
    reason: z.string().max(reasonLengthMax),
  }),
  z.strictObject({ kind: z.literal('refused'), code: z.enum(REFUSALS), message: line }),
  z.strictObject({ kind: z.literal('done') }),
])
export type Answer = z.infer<typeof answerSchema>

/** An expected refusal as an answer; anything else is a defect and cuts the stream. @throws what it cannot tell */
export function refusalOf(error: unknown): Answer {
  const code = error instanceof NodeError ? REFUSALS.find((refusal) => refusal === error.code) : undefined
  if (code === undefined) throw error
  return { kind: 'refused', code, message: (error as NodeError).message.slice(0, 1_000) }
}

/** @throws NodeError PEER_UNREACHABLE, STREAM_CLOSED, TIMED_OUT, UNSUPPORTED for a node that does not know the question. */
export async function ask(network: Pick<Network, 'open'>, peer: string, question: Question): Promise<Answer> {
  const stream = await network.open(peer, QUESTION_PROTOCOL)
  const frames = new Frames(stream, joinFrameBytesMax)
  await frames.write(encode(question))
  const frame = await withDeadline(frames.read(), dialTimeoutMs, 'The answer of the member')
  if (frame === undefined)
    throw new NodeError('STREAM_CLOSED', `${peer} ended the question without an answer`)
  const answer = answerSchema.parse(decode(frame))
  await stream.closeWrite()
  return answer
}

/** Reads one question, has it answered, and writes the answer. */
export async function serveQuestion(
  stream: ByteStream,
  answer: (peer: string, question: Question) => Promise<Answer>,
): Promise<void> {
  const frames = new Frames(stream, joinFrameBytesMax)
  const frame = await withDeadline(frames.read(), dialTimeoutMs, 'The question')
  if (frame === undefined) return
  await frames.write(encode(await answer(stream.peer, questionSchema.parse(decode(frame)))))
  await stream.closeWrite()
}
