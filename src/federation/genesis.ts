import { createHash } from 'node:crypto'
import { decode, encode } from '@ipld/dag-cbor'
import { peerIdFromString } from '@libp2p/peer-id'
import { base32 } from 'multiformats/bases/base32'
import { z } from 'zod'
import { NodeError } from '../base/errors.ts'
import { descriptionLengthMax, foundersMax } from '../base/limits.ts'
import { nameSchema } from '../base/names.ts'
import { bytesSchema } from '../base/schemas.ts'
import { open, seal } from '../identity/envelope.ts'
import type { Identity } from '../identity/node-key.ts'
import { contactsSchema, type FederationPolicyText, JOINING } from './federation-policy.ts'
import { ROLES } from './keyspace.ts'

const founderSchema = z.strictObject({ peer: z.string().min(1).max(100), name: nameSchema })
export type Founder = z.infer<typeof founderSchema>

const genesisPolicySchema = z.strictObject({
  join: z.enum(JOINING),
  newcomers: z.enum(ROLES),
  operatorsNeeded: z.int().min(1).max(100),
  /** Strangers see nothing: the network itself asks for a key. This never changes. */
  private: z.boolean(),
})

/** [G3] What a genesis says that was written before there was anything to choose. */
const EARLY_POLICY: z.infer<typeof genesisPolicySchema> = {
  ...{ join: 'invitation', newcomers: 'member', operatorsNeeded: 1, private: false },
}

const payloadSchema = z.strictObject({
  name: nameSchema,
  description: z.string().max(descriptionLengthMax),
  createdMs: z.number().int().nonnegative(),
  /** The founder is the first operator; no record is needed to admit it. */
  founder: founderSchema,
  /** Sets two federations of one name and moment apart. */
  nonce: bytesSchema.refine((bytes) => bytes.length === 16),
  contacts: contactsSchema.default([]),
  /** Operators from the beginning beside the founder. */
  founders: z
    .array(founderSchema)
    .max(foundersMax - 1)
    .default([]),
  policy: genesisPolicySchema.default(EARLY_POLICY),
})

/** How a federation began: the one document that is not a record, since records name the federation by its hash. */
export interface Genesis {
  /** `mao` and the SHA-256 of the sealed payload, base32: whoever holds the id can check the document. */
  readonly federation: string
  readonly name: string
  readonly description: string
  readonly createdMs: number
  readonly founder: Founder
  /** Operators from the beginning, the founder first. */
  readonly founders: readonly Founder[]
  /** What holds until operators change it. */
  readonly policy: FederationPolicyText
  /** Strangers see nothing of it: its network has a key of its own. */
  readonly private: boolean
  readonly envelope: Uint8Array
}

export interface NewFederation {
  readonly name: string
  readonly description: string
  readonly founderName: string
  readonly createdMs: number
  readonly contacts?: readonly string[]
  /** Further operators from the beginning. */
  readonly founders?: readonly Founder[]
  readonly policy?: Partial<z.infer<typeof genesisPolicySchema>>
}

/** A door that stands open lets in whoever asks: without a word, to look on and not to vote. Pure. */
export function withNewcomers<T extends Partial<Pick<FederationPolicyText, 'join' | 'newcomers'>>>(
  policy: T,
): T {
  return policy.join === 'open' && policy.newcomers === undefined
    ? { ...policy, newcomers: 'observer' }
    : policy
}

/** @throws NodeError INVALID_INPUT */
export function refuseOpenPrivate({ join }: Pick<FederationPolicyText, 'join'>, isPrivate: boolean): void {
  if (join !== 'open' || !isPrivate) return
  const message =
    'A private federation cannot be open: whoever asks lacks the key of its network and reaches nobody; invite instead'
  throw new NodeError('INVALID_INPUT', message)
}

/** @throws NodeError INVALID_INPUT for a founder or a name that comes twice, more operators needed than there are, or private and open. */
export async function createGenesis(federation: NewFederation, identity: Identity): Promise<Genesis> {
  const { name, description, founderName, createdMs, contacts = [], founders = [] } = federation
  const founder = { peer: identity.peerId, name: founderName }
  const policy = { ...EARLY_POLICY, ...withNewcomers(federation.policy ?? {}) }
  refuseOpenPrivate(policy, policy.private)
  const nonce = crypto.getRandomValues(new Uint8Array(16))
  const wanted = { name, description, createdMs, founder, nonce, contacts, founders, policy }
  const stranger = founders.find(({ peer }) => !isPeerId(peer))
  if (stranger !== undefined) {
    const message = `${stranger.peer} is no peer id; the node of ${stranger.name} says its own with "maoctl status"`
    throw new NodeError('INVALID_INPUT', message, { peer: stranger.peer })
  }
  const parsed = payloadSchema.safeParse(wanted)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new NodeError('INVALID_INPUT', `This cannot found a federation: ${problems.join('; ')}`, {
      problems,
    })
  }
  const reason = contradiction(parsed.data)
  if (reason !== undefined) throw new NodeError('INVALID_INPUT', reason)
  return openGenesis(await seal('genesis', encode(parsed.data), identity))
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
  if (!parsed.success || parsed.data.founder.peer !== author || contradiction(parsed.data) !== undefined) {
    throw new NodeError('SIGNATURE_INVALID', 'The genesis is malformed or not signed by its founder')
  }
  const { name, description, createdMs, founder, contacts, founders, policy } = parsed.data
  const { private: isPrivate, ...rules } = policy
  return {
    ...{ federation, name, description, createdMs, founder, private: isPrivate, envelope },
    founders: [founder, ...founders],
    policy: { ...rules, contacts },
  }
}

/** What nobody could ever prove to be would count as an operator for good. */
function isPeerId(text: string): boolean {
  try {
    return peerIdFromString(text).toString() === text
  } catch {
    return false
  }
}

/** [G4] Why a genesis says two things at once, or undefined. */
function contradiction({ founder, founders, policy }: z.infer<typeof payloadSchema>): string | undefined {
  const all = [founder, ...founders]
  for (const field of ['peer', 'name'] as const) {
    if (new Set(all.map((one) => one[field])).size < all.length) return `Two founders have one ${field}`
  }
  if (policy.operatorsNeeded <= all.length) return undefined
  return `${policy.operatorsNeeded} operators are needed for a change, and the founders are only ${all.length}; name more founders, or raise the number later`
}
