/** gRPC's frames: a flag, the length in four bytes, the message (grpc: doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message). */
import { etcdRequestBytesMax, etcdRequestOverheadBytes } from '../../base/limits.ts'
import { EtcdError, STATUS } from '../status.ts'
import { encode } from './codec.ts'
import { GatheredBytes } from './gathered-bytes.ts'
import type { MessageType } from './schema.ts'

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

/** Puts messages together from the pieces in which they come. */
export class FrameReader {
  readonly #gathered = new GatheredBytes()
  /** Bytes that must be there before it is worth looking again. */
  #wanted = FRAME_HEAD_BYTES

  /** Bytes of messages that are not whole yet. */
  get length(): number {
    return this.#gathered.length
  }

  push(piece: Buffer): void {
    this.#gathered.push(piece, this.#wanted)
  }

  /**
   * The next whole message: a view of what came.
   *
   * @throws EtcdError RESOURCE_EXHAUSTED (too large), INTERNAL (compressed, which nobody agreed on)
   */
  next(): Buffer | undefined {
    if (this.#gathered.length < this.#wanted) return undefined
    const { bytes } = this.#gathered
    if (bytes[0] !== 0) throw unreadable(bytes[0] as number)
    const length = bytes.readUInt32BE(1)
    if (length > MESSAGE_BYTES_MAX) throw tooLarge(length)
    this.#wanted = FRAME_HEAD_BYTES + length
    if (bytes.length < this.#wanted) return undefined
    const frame = this.#gathered.take(this.#wanted)
    this.#wanted = FRAME_HEAD_BYTES
    return frame.subarray(FRAME_HEAD_BYTES)
  }
}

export function tooLarge(length: number): EtcdError {
  const text = `grpc: received message larger than max (${length} vs. ${MESSAGE_BYTES_MAX})`
  return new EtcdError(STATUS.RESOURCE_EXHAUSTED, text)
}

/** A message is plain (0) or compressed (1), and nobody has agreed on a compression. */
function unreadable(format: number): EtcdError {
  const compressed = 'grpc: compressed flag set with identity or empty encoding'
  const unknown = `grpc: received unexpected payload format ${format}`
  return new EtcdError(STATUS.INTERNAL, format === 1 ? compressed : unknown)
}
