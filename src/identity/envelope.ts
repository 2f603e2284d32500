/**
 * Sealed envelopes (protocols/envelope.md): libp2p signed envelopes (libp2p specification RFC 0002) with domain strings
 * of our own. What is signed are the payload's bytes, never an object, so nobody has to agree on how an object is
 * written down; and the domain keeps a signature given for one purpose from being shown for another.
 */
import { peerIdFromPublicKey } from '@libp2p/peer-id'
import { RecordEnvelope } from '@libp2p/peer-record'
import { NodeError } from '../base/errors.ts'
import { recordBytesMax } from '../base/limits.ts'
import type { Identity } from './node-key.ts'

/** What an envelope may hold. */
export type EnvelopeKind = 'record' | 'genesis' | 'listing'

export interface Opened {
  /** Peer id of the signer, proven by the signature. */
  readonly author: string
  readonly payload: Uint8Array
}

/** [E1] The signature's domain string and the payload type of each kind (protocols/envelope.md §2). */
const DOMAINS = {
  record: { domain: 'mao-record', type: new TextEncoder().encode('/mao/record/1') },
  genesis: { domain: 'mao-genesis', type: new TextEncoder().encode('/mao/genesis/1') },
  listing: { domain: 'mao-listing', type: new TextEncoder().encode('/mao/listing/1') },
} as const satisfies Record<EnvelopeKind, { domain: string; type: Uint8Array }>

/** Signs `payload` as `identity` and returns the envelope's bytes. */
export async function seal(kind: EnvelopeKind, payload: Uint8Array, identity: Identity): Promise<Uint8Array> {
  const { domain, type } = DOMAINS[kind]
  const sealable = { domain, codec: type, marshal: () => payload, equals: () => false }
  const envelope = await RecordEnvelope.seal(sealable, identity.privateKey)
  return envelope.marshal()
}

/**
 * Checks an envelope and gives its payload.
 *
 * @throws NodeError TOO_LARGE [E2], or SIGNATURE_INVALID when it is malformed, of another kind, signed by something
 * else than an Ed25519 key, or wrongly signed [E3–E6].
 */
export async function open(kind: EnvelopeKind, bytes: Uint8Array): Promise<Opened> {
  if (bytes.length > recordBytesMax) {
    throw new NodeError(
      'TOO_LARGE',
      `An envelope has at most ${recordBytesMax} bytes, this one ${bytes.length}`,
    )
  }
  const { domain, type } = DOMAINS[kind]
  let envelope: RecordEnvelope
  try {
    envelope = await RecordEnvelope.openAndCertify(bytes, domain)
  } catch (cause) {
    throw new NodeError(
      'SIGNATURE_INVALID',
      'The envelope is malformed or its signature does not hold',
      {},
      { cause },
    )
  }
  // Protobuf can write one message in many ways; taking only one of them leaves a record a single form, so that nobody
  // can make new messages out of an old one.
  if (Buffer.compare(envelope.marshal(), bytes) !== 0) {
    throw new NodeError('SIGNATURE_INVALID', 'The envelope is not in its canonical form')
  }
  if (Buffer.compare(envelope.payloadType, type) !== 0) {
    throw new NodeError('SIGNATURE_INVALID', `The envelope holds no ${kind}`)
  }
  // A peer id of another key type could exist twice for one key (hashed and inlined); one type, one name.
  if (envelope.publicKey.type !== 'Ed25519') {
    throw new NodeError(
      'SIGNATURE_INVALID',
      `Signed with ${envelope.publicKey.type}; only Ed25519 is accepted`,
    )
  }
  return { author: peerIdFromPublicKey(envelope.publicKey).toString(), payload: envelope.payload.subarray() }
}

/** The payload of an envelope whose signature this node has checked before: for what comes from its own store. */
export function reopen(bytes: Uint8Array): Uint8Array {
  return RecordEnvelope.createFromProtobuf(bytes).payload.subarray()
}
