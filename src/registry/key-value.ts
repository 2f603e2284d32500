/**
 * One version of one key, as etcd stores and sends it: a `mvccpb.KeyValue` message (etcd: api/mvccpb/kv.proto). It is
 * kept in its encoded form alone, which is what goes to the disk and to clients; so a range of a thousand keys is
 * answered by copying bytes.
 */
import { NodeError } from '../base/errors.ts'
import { keyBytes, latin1 } from './key-range.ts'

/** The tag of field 2, length-delimited: as which a RangeResponse, an Event and a PutResponse carry a key-value. */
export const FRAME_TAG = 0x12

const NOTHING = new Uint8Array(0)
const KEY_TAG = 0x0a
const CREATED_TAG = 0x10
const MODIFIED_TAG = 0x18
const VERSION_TAG = 0x20
const VALUE_TAG = 0x2a
const LEASE_TAG = 0x30

/** What a key-value says, without its bytes. */
export interface KeyValueFields {
  /** The key's bytes as Latin-1 text. */
  readonly key: string
  /** Revision at which the key came to be there, in its present life. */
  readonly created: number
  /** Revision of this version. */
  readonly modified: number
  /** Counts the versions of the present life from 1; 0 in a tombstone. */
  readonly version: number
  /** Id of the lease that the key hangs on; 0 when it hangs on none. */
  readonly lease: bigint
}

export class KeyValue implements KeyValueFields {
  readonly key: string
  readonly created: number
  readonly modified: number
  readonly version: number
  readonly lease: bigint
  /** Its place among the changes of its revision; not part of the message. */
  readonly sub: number
  /** The message behind `FRAME_TAG` and its length. */
  readonly framed: Uint8Array
  readonly #encodedAt: number
  readonly #valueAt: number
  readonly #valueEnd: number

  private constructor(
    fields: KeyValueFields,
    sub: number,
    framed: Uint8Array,
    at: readonly [number, number, number],
  ) {
    this.key = fields.key
    this.created = fields.created
    this.modified = fields.modified
    this.version = fields.version
    this.lease = fields.lease
    this.sub = sub
    this.framed = framed
    ;[this.#encodedAt, this.#valueAt, this.#valueEnd] = at
  }

  static of(fields: KeyValueFields, value: Uint8Array, sub = 0): KeyValue {
    const key = keyBytes(fields.key)
    const length =
      bytesSize(key.length) +
      numberSize(fields.created) +
      numberSize(fields.modified) +
      numberSize(fields.version) +
      bytesSize(value.length) +
      leaseSize(fields.lease)
    const framed = new Uint8Array(1 + varintSize(length) + length)
    framed[0] = FRAME_TAG
    const encodedAt = writeVarint(framed, 1, length)
    let at = writeBytes(framed, encodedAt, KEY_TAG, key)
    at = writeNumber(framed, at, CREATED_TAG, fields.created)
    at = writeNumber(framed, at, MODIFIED_TAG, fields.modified)
    at = writeNumber(framed, at, VERSION_TAG, fields.version)
    const valueEnd = writeBytes(framed, at, VALUE_TAG, value)
    const valueAt = valueEnd - value.length
    if (fields.lease !== 0n) writeLease(framed, valueEnd, fields.lease)
    return new KeyValue(fields, sub, framed, [encodedAt, valueAt, valueEnd])
  }

  /** A tombstone: the key was deleted at `modified`. */
  static tombstone(key: string, modified: number, sub = 0): KeyValue {
    return KeyValue.of({ key, created: 0, modified, version: 0, lease: 0n }, NOTHING, sub)
  }

  /**
   * Reads what `framed` gave. For this node's own store only: nothing else is accepted than what `of` writes.
   *
   * @throws NodeError STORE_FAILED
   */
  static parse(framed: Uint8Array, sub: number): KeyValue {
    const reader = new Reader(framed)
    reader.tag(FRAME_TAG)
    reader.varint()
    const encodedAt = reader.at
    const key = reader.bytes(KEY_TAG)
    const created = reader.number(CREATED_TAG)
    const modified = reader.number(MODIFIED_TAG)
    const version = reader.number(VERSION_TAG)
    const value = reader.bytes(VALUE_TAG)
    const [valueAt, valueEnd] = value.length === 0 ? [reader.at, reader.at] : [value.start, reader.at]
    const lease = reader.lease()
    if (reader.at !== framed.length) throw reader.failure()
    const text = latin1(framed.subarray(key.start, key.start + key.length))
    const fields = { key: text, created, modified, version, lease }
    return new KeyValue(fields, sub, framed, [encodedAt, valueAt, valueEnd])
  }

  get isTombstone(): boolean {
    return this.version === 0
  }

  /** The bare message. */
  get encoded(): Uint8Array {
    return this.framed.subarray(this.#encodedAt)
  }

  get value(): Uint8Array {
    return this.framed.subarray(this.#valueAt, this.#valueEnd)
  }
}

/** Sizes and writers leave out what is zero or empty, as proto3 does. */
function bytesSize(length: number): number {
  return length === 0 ? 0 : 1 + varintSize(length) + length
}

function numberSize(value: number): number {
  return value === 0 ? 0 : 1 + varintSize(value)
}

function leaseSize(lease: bigint): number {
  let size = lease === 0n ? 0 : 1
  for (let rest = BigInt.asUintN(64, lease); rest > 0n; rest >>= 7n) size += 1
  return size
}

function varintSize(value: number): number {
  let size = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1
  return size
}

function writeBytes(target: Uint8Array, at: number, tag: number, bytes: Uint8Array): number {
  if (bytes.length === 0) return at
  target[at] = tag
  const start = writeVarint(target, at + 1, bytes.length)
  target.set(bytes, start)
  return start + bytes.length
}

function writeNumber(target: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at
  target[at] = tag
  return writeVarint(target, at + 1, value)
}

function writeVarint(target: Uint8Array, at: number, value: number): number {
  let [next, rest] = [at, value]
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
    target[next] = (rest % 0x80) | 0x80
    next += 1
  }
  target[next] = rest
  return next + 1
}

function writeLease(target: Uint8Array, at: number, lease: bigint): void {
  target[at] = LEASE_TAG
  let next = at + 1
  let rest = BigInt.asUintN(64, lease)
  for (; rest >= 0x80n; rest >>= 7n) {
    target[next] = Number(rest & 0x7fn) | 0x80
    next += 1
  }
  target[next] = Number(rest)
}

/** Reads the fields in the order in which they are written; one that is not there is zero or empty. */
class Reader {
  at = 0
  readonly #source: Uint8Array

  constructor(source: Uint8Array) {
    this.#source = source
  }

  tag(tag: number): void {
    if (this.#source[this.at] !== tag) throw this.failure()
    this.at += 1
  }

  number(tag: number): number {
    if (this.#source[this.at] !== tag) return 0
    this.at += 1
    return this.varint()
  }

  bytes(tag: number): { start: number; length: number } {
    if (this.#source[this.at] !== tag) return { start: this.at, length: 0 }
    this.at += 1
    const length = this.varint()
    const start = this.at
    this.at += length
    if (this.at > this.#source.length) throw this.failure()
    return { start, length }
  }

  varint(): number {
    let [value, scale] = [0, 1]
    for (;;) {
      const byte = this.#source[this.at]
      if (byte === undefined || scale > Number.MAX_SAFE_INTEGER) throw this.failure()
      this.at += 1
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
  }

  lease(): bigint {
    if (this.#source[this.at] !== LEASE_TAG) return 0n
    this.at += 1
    let [value, shift] = [0n, 0n]
    for (;;) {
      const byte = this.#source[this.at]
      if (byte === undefined || shift > 63n) throw this.failure()
      this.at += 1
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asIntN(64, value)
      shift += 7n
    }
  }

  failure(): NodeError {
    return new NodeError('STORE_FAILED', 'The store holds a key-value that this version cannot read')
  }
}
