/**
 * Joining (protocols/join.md): the newcomer shows the secret of its invitation on a stream whose other end is proven to
 * be the inviting node; the operator admits it and answers with the genesis, from which everything else follows.
 */
import { decode, encode } from '@ipld/dag-cbor'
import { z } from 'zod'
import { type ErrorCode, messageOf, NodeError } from '../base/errors.ts'
import { dialTimeoutMs } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import { bytesSchema } from '../base/schemas.ts'
import { withDeadline } from '../base/wait.ts'
import type { ByteStream } from '../network/byte-stream.ts'
import { Frames } from '../network/frames.ts'
import type { Network } from '../network/network.ts'
import { type Genesis, openGenesis } from './genesis.ts'
import type { Grade, Invitation, InvitationBook } from './invitations.ts'
import type { Members } from './members.ts'

export const JOIN_PROTOCOL = '/mao/join/1.0.0'

const requestSchema = z.strictObject({
  federation: z.string().max(100),
  secret: z.string().max(100),
  name: nameSchema,
})

const REFUSALS = [
  'INVITATION_INVALID',
  'INVITATION_EXPIRED',
  'INVITATION_USED',
] as const satisfies ErrorCode[]

const answerSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('admitted'), genesis: bytesSchema, name: nameSchema }),
  z.strictObject({ kind: z.literal('refused'), code: z.enum(REFUSALS), message: z.string().max(500) }),
])
type Answer = z.infer<typeof answerSchema>

export interface Admission {
  readonly genesis: Genesis
  /** The name under which the federation knows this node; another than asked for when that was taken. */
  readonly name: string
  /** The inviting node. */
  readonly peer: string
}

/**
 * Asks to be admitted.
 *
 * @throws NodeError INVITATION_INVALID, INVITATION_EXPIRED, INVITATION_USED as the inviting node answers;
 * PEER_UNREACHABLE when it does not.
 */
export async function requestAdmission(
  network: Pick<Network, 'dial' | 'open'>,
  invitation: Invitation,
  name: string,
): Promise<Admission> {
  const peer = await network.dial(invitation.addresses)
  const stream = await network.open(peer, JOIN_PROTOCOL)
  const frames = new Frames(stream)
  const { federation, secret } = invitation
  await frames.write(encode({ federation, secret, name }))
  const frame = await withDeadline(frames.read(), dialTimeoutMs, 'The answer of the inviting node')
  if (frame === undefined) throw new NodeError('STREAM_CLOSED', `${peer} ended the request without an answer`)
  const answer = answerSchema.parse(decode(frame))
  await stream.closeWrite()
  if (answer.kind === 'refused') throw new NodeError(answer.code, answer.message)
  return { genesis: await openGenesis(answer.genesis, federation), name: answer.name, peer }
}

export interface JoinServerParts {
  readonly genesis: Genesis
  readonly invitations: InvitationBook
  readonly members: Pick<Members, 'admit' | 'wasRemoved'>
}

/** Answers one request for admission. */
export async function serveAdmission(stream: ByteStream, parts: JoinServerParts): Promise<void> {
  const frames = new Frames(stream)
  const frame = await withDeadline(frames.read(), dialTimeoutMs, 'The request to join')
  if (frame === undefined) return
  await frames.write(encode(await decide(requestSchema.parse(decode(frame)), stream.peer, parts)))
  await stream.closeWrite()
}

async function decide(
  request: z.infer<typeof requestSchema>,
  peer: string,
  parts: JoinServerParts,
): Promise<Answer> {
  const { genesis, invitations, members } = parts
  if (request.federation !== genesis.federation) {
    return {
      kind: 'refused',
      code: 'INVITATION_INVALID',
      message: 'The invitation is for another federation',
    }
  }
  let grade: Grade
  try {
    grade = await invitations.redeem(request.secret, peer, members.wasRemoved(peer))
  } catch (error) {
    const code = REFUSALS.find((refusal) => error instanceof NodeError && error.code === refusal)
    if (code === undefined) throw error
    return { kind: 'refused', code, message: messageOf(error) }
  }
  const { role, until } = grade
  const { name } = await members.admit(peer, request.name, role, until === undefined ? {} : { until })
  return { kind: 'admitted', genesis: genesis.envelope, name }
}
