import { createHash } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import { base32 } from 'multiformats/bases/base32'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { nameSchema } from '../base/names.ts'
import { bytesSchema } from '../base/schemas.ts'
import { open, seal } from '../identity/envelope.ts'
import type { Identity } from '../identity/node-key.ts'

const founderSchema = z.strictObject({ peer: z.string().min(1).max(100), name: nameSchema })

const payloadSchema = z.strictObject({
  name: nameSchema,
  description: z.string().max(2_000),
  createdMs: z.number().int().nonnegative(),
  /** The founder is the first operator; no record is needed to admit it. */
  founder: founderSchema,
  /** Sets two federations of one name and moment apart. */
  nonce: bytesSchema.refine((bytes) => bytes.length === 16),
})

/** How a federation began: the one document that is not a record, since records name the federation by its hash. */
export interface Genesis {
  /** `mao` and the SHA-256 of the sealed payload, base32: whoever holds the id can check the document. */
  readonly federation: string
  readonly name: string
  readonly description: string
  readonly createdMs: number
  readonly founder: { readonly peer: string; readonly name: string }
  /** Operators from the beginning, the founder first. */
  readonly founders: readonly { readonly peer: string; readonly name: string }[]
  readonly envelope: Uint8Array
}

export interface NewFederation {
  readonly name: string
  readonly description: string
  readonly founderName: string
  readonly createdMs: number
}

export async function createGenesis(federation: NewFederation, identity: Identity): Promise<Genesis> {
  const { name, description, founderName, createdMs } = federation
  const founder = { peer: identity.peerId, name: founderName }
  const nonce = crypto.getRandomValues(new Uint8Array(16))
  const payload = payloadSchema.parse({ name, description, createdMs, founder, nonce })
  return openGenesis(await seal('genesis', encode(payload), identity))
}

/**
 * Reads a genesis and, when `expected` is given, checks that it is that federation's.
 *
 * @throws NodeError SIGNATURE_INVALID
 */
export async function openGenesis(envelope: Uint8Array, expected?: string): Promise<Genesis> {
  const { author, payload } = await open('genesis', envelope)
  const federation = `mao${base32.encode(createHash('sha256').update(payload).digest())}`
  if (expected !== undefined && federation !== expected) {
    const message = `This is the genesis of ${federation}, not of ${expected}`
    throw new NodeError('SIGNATURE_INVALID', message, { federation, expected })
  }
  const parsed = payloadSchema.safeParse(decode(payload))
  if (!parsed.success || parsed.data.founder.peer !== author) {
    throw new NodeError('SIGNATURE_INVALID', 'The genesis is malformed or not signed by its founder')
  }
  const { nonce: _, ...rest } = parsed.data
  return { federation, ...rest, founders: [rest.founder], envelope }
}
