/**
 * Reads protobuf's primitives from bytes of a stranger: every length is checked against what is there. The texts of the
 * refusals are those of etcd's generated code.
 */
import { WIRE } from './schema.ts'

/** Bytes that are no message. */
export class MalformedMessage extends Error {
  constructor(text: string) {
    super(text)
    this.name = 'MalformedMessage'
  }
}

const TRUNCATED = 'unexpected EOF'
const VARINT_BYTES_MAX = 10
const TWO_TO_32 = 2 ** 32
const TWO_TO_63 = 2 ** 63

export class Reader {
  readonly bytes: Buffer
  at: number
  /** The low and the high half of the varint read last, both unsigned. */
  low = 0
  high = 0

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  /** Reads a varint into `low` and `high`. @throws MalformedMessage */
  varint(end: number): void {
    const bytes = this.bytes
    let at = this.at
    if (at >= end) throw new MalformedMessage(TRUNCATED)
    let byte = bytes[at++] as number
    if (byte < 128) {
      this.low = byte
      this.high = 0
      this.at = at
      return
    }
    let low = byte & 127
    let high = 0
    for (let shift = 7; ; shift += 7) {
      if (shift >= 7 * VARINT_BYTES_MAX) throw new MalformedMessage('proto: integer overflow')
      if (at >= end) throw new MalformedMessage(TRUNCATED)
      byte = bytes[at++] as number
      const bits = byte & 127
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high = bits >>> 4
      } else high |= bits << (shift - 32)
      if (byte < 128) break
    }
    this.low = low >>> 0
    this.high = high >>> 0
    this.at = at
  }

  /** A length that stays within `end`. @throws MalformedMessage */
  length(end: number): number {
    this.varint(end)
    const length = this.high * TWO_TO_32 + this.low
    if (length >= TWO_TO_63) throw new MalformedMessage('proto: negative length found during unmarshaling')
    if (length > end - this.at) throw new MalformedMessage(TRUNCATED)
    return length
  }

  /** The bytes behind a length: a view, not a copy. @throws MalformedMessage */
  delimited(end: number): Buffer {
    const length = this.length(end)
    const from = this.at
    this.at = from + length
    return this.bytes.subarray(from, this.at)
  }

  signed64(): bigint {
    if (this.high === 0) return BigInt(this.low)
    return (BigInt(this.high | 0) << 32n) | BigInt(this.low)
  }

  unsigned64(): bigint {
    if (this.high === 0) return BigInt(this.low)
    return (BigInt(this.high) << 32n) | BigInt(this.low)
  }

  /** Passes over a field that is not known. @throws MalformedMessage */
  skip(wireType: number, end: number, depthLeft: number): void {
    switch (wireType) {
      case WIRE.varint:
        this.varint(end)
        return
      case WIRE.delimited: {
        const length = this.length(end)
        this.at += length
        return
      }
      case WIRE.fixed64:
      case WIRE.fixed32: {
        const length = wireType === WIRE.fixed64 ? 8 : 4
        if (length > end - this.at) throw new MalformedMessage(TRUNCATED)
        this.at += length
        return
      }
      case WIRE.groupStart:
        this.#skipGroup(end, depthLeft)
        return
      default:
        throw new MalformedMessage(`proto: illegal wireType ${wireType}`)
    }
  }

  #skipGroup(end: number, depthLeft: number): void {
    if (depthLeft === 0) throw tooDeep()
    for (;;) {
      this.varint(end)
      const wireType = this.low & 7
      if (wireType === WIRE.groupEnd) return
      this.skip(wireType, end, depthLeft - 1)
    }
  }
}

export function tooDeep(): MalformedMessage {
  return new MalformedMessage('proto: exceeded maximum recursion depth')
}
