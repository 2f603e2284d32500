/**
 * The bytes of a sealed envelope (protocols/envelope.md §1): the protobuf message of libp2p's signed envelopes, written
 * and read in one form only. The reader takes the fields 1, 2, 3 and 5 in this order, each once, behind minimal
 * lengths, and nothing else; what it accepts is therefore canonical by construction [E4], without being encoded again.
 */
import { NodeError } from '../base/errors.ts'

export interface EnvelopeForm {
  /** The author's raw Ed25519 key, 32 bytes. */
  readonly key: Uint8Array
  readonly type: Uint8Array
  readonly payload: Uint8Array
  /** 64 bytes. */
  readonly signature: Uint8Array
}

const KEY_BYTES = 32
const SIGNATURE_BYTES = 64
/** libp2p's public key message around a raw Ed25519 key: `Type = 1 (Ed25519)`, `Data = 32 bytes`. */
const KEY_PREFIX = Uint8Array.of(0x08, 0x01, 0x12, KEY_BYTES)
const TAGS = { publicKey: 0x0a, payloadType: 0x12, payload: 0x1a, signature: 0x2a } as const
/** An unsigned varint of three bytes reaches 2 MiB, beyond any envelope. */
const LENGTH_BYTES_MAX = 3

/** Views of the parts of `bytes`. @throws NodeError SIGNATURE_INVALID [E4], [E6] */
export function parseEnvelope(bytes: Uint8Array): EnvelopeForm {
  const reader = new FieldReader(bytes)
  const publicKey = reader.field(TAGS.publicKey)
  const key = publicKey === undefined ? undefined : rawKeyOf(publicKey)
  const type = reader.field(TAGS.payloadType)
  // Protobuf leaves an empty field out, so that an empty payload is written as none.
  const payload = reader.field(TAGS.payload) ?? new Uint8Array(0)
  const signature = reader.field(TAGS.signature)
  if (type === undefined || key === undefined || !reader.atEnd) throw malformed()
  if (signature?.length !== SIGNATURE_BYTES) throw malformed()
  return { key, type, payload, signature }
}

/** The inverse of `parseEnvelope`: byte for byte what libp2p's `RecordEnvelope` makes of these parts. */
export function formatEnvelope({ key, type, payload, signature }: EnvelopeForm): Uint8Array {
  return join([
    ...fieldOf(TAGS.publicKey, join([KEY_PREFIX, key])),
    ...fieldOf(TAGS.payloadType, type),
    ...fieldOf(TAGS.payload, payload),
    ...fieldOf(TAGS.signature, signature),
  ])
}

/** What stands before the payload in the bytes that are signed: the domain and the type, each behind its length. */
export function signedPrefix(domain: string, type: Uint8Array): Uint8Array {
  const name = new TextEncoder().encode(domain)
  return join([varint(name.length), name, varint(type.length), type])
}

/** The bytes that are signed (libp2p RFC 0002). `prefix` is that of `signedPrefix`. */
export function signedBytes(prefix: Uint8Array, payload: Uint8Array): Uint8Array {
  return join([prefix, varint(payload.length), payload])
}

/** [E6] A peer id of another key type could exist twice for one key (hashed and inlined); one type, one name. */
function rawKeyOf(publicKey: Uint8Array): Uint8Array {
  const known = publicKey.length === KEY_PREFIX.length + KEY_BYTES
  if (!known || KEY_PREFIX.some((byte, at) => publicKey[at] !== byte)) {
    throw new NodeError(
      'SIGNATURE_INVALID',
      'Signed with another key than an Ed25519 one in its canonical form',
    )
  }
  return publicKey.subarray(KEY_PREFIX.length)
}

class FieldReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    // Never a Buffer: its subarray is a Buffer again, which others would take for something else than bytes.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** The content of the field that comes next, or undefined when that is another one. */
  field(tag: number): Uint8Array | undefined {
    if (this.#bytes[this.#at] !== tag) return undefined
    this.#at += 1
    const length = this.#length()
    const content = this.#bytes.subarray(this.#at, this.#at + length)
    // An empty field is canonically left out.
    if (length === 0 || content.length !== length) throw malformed()
    this.#at += length
    return content
  }

  /** An unsigned varint in its shortest form. */
  #length(): number {
    let value = 0
    for (let count = 0; count < LENGTH_BYTES_MAX; count += 1) {
      const byte = this.#bytes[this.#at]
      if (byte === undefined) throw malformed()
      this.#at += 1
      value |= (byte & 0x7f) << (7 * count)
      if (byte >= 0x80) continue
      // A last byte of zero adds nothing: there is a shorter form.
      if (byte === 0 && count > 0) throw malformed()
      return value
    }
    throw malformed()
  }
}

function fieldOf(tag: number, content: Uint8Array): Uint8Array[] {
  return content.length === 0 ? [] : [Uint8Array.of(tag), varint(content.length), content]
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Uint8Array.from([...bytes, rest])
    bytes.push((rest & 0x7f) | 0x80)
  }
}

/** One array of its own, not a part of Buffer's pool: an envelope is kept for long and would hold the pool's page. */
function join(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

function malformed(): NodeError {
  return new NodeError('SIGNATURE_INVALID', 'The envelope is malformed or not in its canonical form')
}
