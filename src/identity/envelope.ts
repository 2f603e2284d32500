/**
 * Sealed envelopes (protocols/envelope.md): libp2p signed envelopes (libp2p specification RFC 0002) with domain strings
 * of our own. What is signed are the payload's bytes, never an object, so nobody has to agree on how an object is
 * written down; and the domain keeps a signature given for one purpose from being shown for another.
 */
import { isNodeError, NodeError } from '../base/errors.ts'
import { recordBytesMax } from '../base/limits.ts'
import { formatEnvelope, parseEnvelope, signedBytes, signedPrefix } from './envelope-form.ts'
import type { Identity } from './node-key.ts'
import { SignatureChecks, Signers, signWith } from './signatures.ts'

/** What an envelope may hold. */
export type EnvelopeKind = 'record' | 'genesis' | 'listing' | 'succession'

export interface Opened {
  /** Peer id of the signer, proven by the signature. */
  readonly author: string
  /** A view of the envelope's bytes. */
  readonly payload: Uint8Array
}

/** [E1] The signature's domain string and the payload type of each kind (protocols/envelope.md §2). */
const DOMAINS = {
  record: domainOf('mao-record', '/mao/record/1'),
  genesis: domainOf('mao-genesis', '/mao/genesis/1'),
  listing: domainOf('mao-listing', '/mao/listing/1'),
  succession: domainOf('mao-succession', '/mao/succession/1'),
} as const satisfies Record<EnvelopeKind, { type: Uint8Array; prefix: Uint8Array }>

const signers = new Signers()
const checks = new SignatureChecks()

/** Signs `payload` as `identity` and returns the envelope's bytes. @throws NodeError UNSUPPORTED: no Ed25519 key. */
export function seal(kind: EnvelopeKind, payload: Uint8Array, identity: Identity): Uint8Array {
  const { type, prefix } = DOMAINS[kind]
  const { privateKey } = identity
  const signature = signWith(privateKey, signedBytes(prefix, payload))
  return formatEnvelope({ key: privateKey.publicKey.raw, type, payload, signature })
}

/**
 * Checks an envelope and gives its payload.
 *
 * @throws NodeError TOO_LARGE [E2], or SIGNATURE_INVALID when it is malformed, of another kind, signed by something
 * else than an Ed25519 key, or wrongly signed [E3–E6].
 */
export async function open(kind: EnvelopeKind, bytes: Uint8Array): Promise<Opened> {
  // [E2] Looked at before anything is decoded.
  if (bytes.length > recordBytesMax) {
    throw new NodeError(
      'TOO_LARGE',
      `An envelope has at most ${recordBytesMax} bytes, this one ${bytes.length}`,
    )
  }
  const { type, prefix } = DOMAINS[kind]
  // [E4], [E6] Only one form is taken, and only one kind of key.
  const form = parseEnvelope(bytes)
  // [E5]
  if (Buffer.compare(form.type, type) !== 0) {
    throw new NodeError('SIGNATURE_INVALID', `The envelope holds no ${kind}`)
  }
  const signer = signers.get(form.key)
  // [E3]
  if (!(await checks.holds(signedBytes(prefix, form.payload), signer, form.signature))) {
    throw new NodeError('SIGNATURE_INVALID', 'The signature of the envelope does not hold')
  }
  return { author: signer.peer, payload: form.payload }
}

/** Opens many; each is answered in its place with what it holds, or with why it does not open (see `open`). */
export function openAll(
  kind: EnvelopeKind,
  envelopes: readonly Uint8Array[],
): Promise<readonly (Opened | NodeError)[]> {
  return Promise.all(
    envelopes.map((bytes) =>
      open(kind, bytes).catch((error: unknown) => {
        if (isNodeError(error)) return error
        throw error
      }),
    ),
  )
}

/**
 * The payload of an envelope whose signature this node has checked before: for what comes from its own store.
 *
 * @throws NodeError SIGNATURE_INVALID when it is none, or not in its canonical form.
 */
export function reopen(bytes: Uint8Array): Uint8Array {
  return parseEnvelope(bytes).payload
}

/** Peer id of whose key an envelope names; whether it signed is not checked. @throws NodeError as `reopen`. */
export function sealerOf(bytes: Uint8Array): string {
  return signers.get(parseEnvelope(bytes).key).peer
}

function domainOf(domain: string, typeName: string): { type: Uint8Array; prefix: Uint8Array } {
  const type = new TextEncoder().encode(typeName)
  return { type, prefix: signedPrefix(domain, type) }
}
