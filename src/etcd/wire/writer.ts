/**
 * Writes protobuf's primitives one after the other into a shared slab of memory; a message that is done is cut off it
 * without being copied. All of it is synchronous: between `begin` and `finish` no other message is written.
 */

const SLAB_BYTES = 128 * 1024
/** Up to here a copy in a loop is quicker than a call into the engine. */
const SHORT_BYTES = 32
/** Around what was expected: the fields that follow it. */
const REST_BYTES = 64
const TWO_TO_28 = 2 ** 28

export class Writer {
  #slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES)
  #start = 0
  #at = 0

  /** Starts a message with `headBytes` of room in front of it. */
  begin(headBytes: number): void {
    this.#start = this.#at
    this.#reserve(headBytes)
    this.#at += headBytes
  }

  /** What was written since `begin`, room in front included; it is the caller's. */
  finish(): Buffer {
    const message = this.#slab.subarray(this.#start, this.#at)
    // A large message has its slab to itself, so that small ones after it do not keep it alive.
    if (this.#at > this.#slab.length / 2) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.#at = 0
    }
    return message
  }

  /** Gives up what was begun; to be called when encoding throws. */
  abandon(): void {
    this.#at = this.#start
  }

  /** A non-negative number below 2^53. */
  varint(value: number): void {
    if (this.#slab.length - this.#at < 10) this.#reserve(10)
    const slab = this.#slab
    let rest = value
    while (rest >= TWO_TO_28) {
      slab[this.#at++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    while (rest > 127) {
      slab[this.#at++] = (rest & 127) | 128
      rest >>>= 7
    }
    slab[this.#at++] = rest
  }

  /** Any 64-bit value; a negative one as its two's complement, as int32 and int64 are written alike. */
  varint64(value: bigint | number): void {
    if (typeof value === 'number') {
      if (value >= 0 && Number.isSafeInteger(value)) this.varint(value)
      else this.#varintHalves(BigInt.asUintN(64, BigInt(value)))
    } else if (value >= 0n && value <= 0xffff_ffffn) this.varint(Number(value))
    else this.#varintHalves(BigInt.asUintN(64, value))
  }

  #varintHalves(value: bigint): void {
    if (this.#slab.length - this.#at < 10) this.#reserve(10)
    const slab = this.#slab
    let high = Number(value >> 32n)
    let low = Number(value & 0xffff_ffffn)
    while (high > 0 || low > 127) {
      slab[this.#at++] = (low & 127) | 128
      low = ((low >>> 7) | (high << 25)) >>> 0
      high >>>= 7
    }
    slab[this.#at++] = low
  }

  /** Bytes behind their length; a text is taken as Latin-1, one byte a character. */
  bytes(value: Uint8Array | string): void {
    const length = value.length
    this.varint(length)
    if (typeof value === 'string') {
      this.#reserve(length)
      this.#at += this.#slab.write(value, this.#at, length, 'latin1')
    } else this.raw(value)
  }

  /** UTF-8 behind its length. */
  string(value: string): void {
    const length = Buffer.byteLength(value)
    this.varint(length)
    this.#reserve(length)
    this.#at += this.#slab.write(value, this.#at, length, 'utf8')
  }

  /** Bytes as they are. */
  raw(value: Uint8Array): void {
    const length = value.length
    if (this.#slab.length - this.#at < length) this.#reserve(length)
    if (length > SHORT_BYTES) this.#slab.set(value, this.#at)
    else for (let i = 0; i < length; i++) this.#slab[this.#at + i] = value[i] as number
    this.#at += length
  }

  /** What stands behind a tag of one byte and its length already, with `tag` for that one. */
  framed(tag: number, value: Uint8Array): void {
    const tagAt = this.#at - this.#start
    this.raw(value)
    this.#slab[this.#start + tagAt] = tag
  }

  /** Leaves room for a length that is known later. @returns what `close` asks for */
  open(): number {
    if (this.#at === this.#slab.length) this.#reserve(1)
    return this.#at++ - this.#start
  }

  /** Writes the length of all that came after `open`; what does not fit one byte moves it on. */
  close(opened: number): void {
    const length = this.#at - this.#start - opened - 1
    if (length < 128) {
      this.#slab[this.#start + opened] = length
      return
    }
    const extra = length < 2 ** 14 ? 1 : length < 2 ** 21 ? 2 : length < TWO_TO_28 ? 3 : 4
    this.#reserve(extra + 10)
    const lengthAt = this.#start + opened
    this.#slab.copyWithin(lengthAt + 1 + extra, lengthAt + 1, this.#at)
    const end = this.#at + extra
    this.#at = lengthAt
    this.varint(length)
    this.#at = end
  }

  /** Makes room at once for much that is known to come, and for a little more. */
  expect(bytes: number): void {
    if (bytes > SLAB_BYTES / 2) this.#reserve(bytes + REST_BYTES, bytes + REST_BYTES)
  }

  /** Makes room for `bytes` more; what is being written moves to a new slab when the present one is full. */
  #reserve(bytes: number, further = Math.max(SLAB_BYTES, this.#at - this.#start + 2 * bytes)): void {
    if (this.#slab.length - this.#at >= bytes) return
    const written = this.#at - this.#start
    const slab = Buffer.allocUnsafeSlow(written + further)
    this.#slab.copy(slab, 0, this.#start, this.#at)
    this.#slab = slab
    this.#start = 0
    this.#at = written
  }
}
