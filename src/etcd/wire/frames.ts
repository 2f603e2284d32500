/** gRPC's frames: a flag, the length in four bytes, the message (grpc: doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message). */
import { etcdRequestBytesMax, etcdRequestOverheadBytes } from '../../base/limits.ts'
import { EtcdError, STATUS } from '../status.ts'
import { encode } from './codec.ts'
import { EMPTY_BYTES, type MessageType } from './schema.ts'

export const FRAME_HEAD_BYTES = 5
/** As etcd bounds what its clients send. */
export const MESSAGE_BYTES_MAX = etcdRequestBytesMax + etcdRequestOverheadBytes

/** A response in its frame. */
export function frameOf(type: MessageType, message: object): Buffer {
  const frame = encode(type, message, FRAME_HEAD_BYTES)
  frame[0] = 0
  frame.writeUInt32BE(frame.length - FRAME_HEAD_BYTES, 1)
  return frame
}

/** Puts together what comes in pieces. A message that came as one is not copied; of others, each byte is about twice. */
export class FrameReader {
  #bytes: Buffer = EMPTY_BYTES
  #length = 0
  /** Whether `#bytes` is our own and may have room behind `#length`. */
  #ours = false
  /** Bytes that must be there before it is worth looking again. */
  #wanted = FRAME_HEAD_BYTES

  /** Bytes of messages that are not whole yet. */
  get length(): number {
    return this.#length
  }

  push(piece: Buffer): void {
    if (this.#length === 0) {
      this.#bytes = piece
      this.#length = piece.length
      this.#ours = false
      return
    }
    const length = this.#length + piece.length
    if (!this.#ours || this.#bytes.length < length) {
      // Room for all that is announced would be a gift to whoever announces much and sends little.
      const larger = Buffer.allocUnsafeSlow(Math.max(length, Math.min(this.#wanted, 2 * length)))
      this.#bytes.copy(larger, 0, 0, this.#length)
      this.#bytes = larger
      this.#ours = true
    }
    piece.copy(this.#bytes, this.#length)
    this.#length = length
  }

  /**
   * The next whole message: a view of what came.
   *
   * @throws EtcdError RESOURCE_EXHAUSTED (too large), INTERNAL (compressed, which nobody agreed on)
   */
  next(): Buffer | undefined {
    if (this.#length < this.#wanted) return undefined
    const bytes = this.#bytes
    if (bytes[0] !== 0) throw compressed()
    const length = bytes.readUInt32BE(1)
    if (length > MESSAGE_BYTES_MAX) throw tooLarge(length)
    const end = FRAME_HEAD_BYTES + length
    this.#wanted = end
    if (this.#length < end) return undefined
    this.#wanted = FRAME_HEAD_BYTES
    this.#bytes = bytes.subarray(end, this.#length)
    this.#length -= end
    this.#ours = false
    return bytes.subarray(FRAME_HEAD_BYTES, end)
  }
}

export function tooLarge(length: number): EtcdError {
  const text = `grpc: received message larger than max (${length} vs. ${MESSAGE_BYTES_MAX})`
  return new EtcdError(STATUS.RESOURCE_EXHAUSTED, text)
}

function compressed(): EtcdError {
  return new EtcdError(STATUS.INTERNAL, 'grpc: compressed flag set with identity or empty encoding')
}
