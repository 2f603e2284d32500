import { NodeError } from '../../base/errors.ts'
import { packBytesMax, packObjectsMax } from '../../base/limits.ts'

/** Bytes of a packet's length (gitprotocol-common, pkt-line). */
const LENGTH_BYTES = 4
const BAND_DATA = 1
const HEADER_BYTES = 12
/** What is kept of a packet: enough for the band and the header of a pack. */
const KEPT_BYTES = 1 + HEADER_BYTES

/**
 * Reads along with git's fetch dialogue and stops it at our limits, before git has spent time or disk on what a peer
 * sends: all bytes are counted, and the number of objects is taken from the header of the pack.
 */
export class PackMeter {
  readonly #bytesMax: number
  #bytes = 0
  #inPack = false
  #objects: number | undefined
  #length = Buffer.alloc(0)
  /** Bytes of the packet at hand that are still to come; 0 while a length is being read. */
  #left = 0
  #kept = Buffer.alloc(0)
  #header = Buffer.alloc(0)

  constructor(bytesMax: number = packBytesMax) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The number that the pack announces, once its header has passed. */
  get objects(): number | undefined {
    return this.#objects
  }

  /** @throws NodeError PACK_REJECTED at a limit. */
  add(chunk: Uint8Array): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#bytesMax) {
      throw new NodeError('PACK_REJECTED', `The peer sends more than ${this.#bytesMax} bytes`, {
        bytes: this.#bytes,
      })
    }
    // Behind the header of the pack only the count of bytes matters.
    if (this.#objects === undefined) this.#readPackets(Buffer.from(chunk))
  }

  #readPackets(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && this.#objects === undefined) {
      if (this.#left === 0) {
        const part = chunk.subarray(at, at + LENGTH_BYTES - this.#length.length)
        this.#length = Buffer.concat([this.#length, part])
        at += part.length
        if (this.#length.length < LENGTH_BYTES) return
        const length = Number.parseInt(this.#length.toString('latin1'), 16)
        this.#length = Buffer.alloc(0)
        if (Number.isNaN(length))
          throw new NodeError('PACK_REJECTED', 'The peer does not speak the protocol of git')
        // 0 to 3 are marks without content: flush, delimiter, end of response.
        this.#left = Math.max(0, length - LENGTH_BYTES)
        this.#kept = Buffer.alloc(0)
        continue
      }
      const part = chunk.subarray(at, at + this.#left)
      this.#kept = Buffer.concat([this.#kept, part.subarray(0, KEPT_BYTES - this.#kept.length)])
      at += part.length
      this.#left -= part.length
      if (this.#left === 0) this.#readPacket(this.#kept)
    }
  }

  #readPacket(content: Buffer): void {
    if (content.toString('latin1').startsWith('packfile\n')) this.#inPack = true
    if (!this.#inPack || content[0] !== BAND_DATA) return
    // The header of a pack may come in several packets.
    this.#header = Buffer.concat([this.#header, content.subarray(1)])
    if (this.#header.length >= HEADER_BYTES) this.#objects = readPackHeader(this.#header)
  }
}

/** The number of objects that the header of a pack announces. @throws NodeError PACK_REJECTED at the limit. */
export function readPackHeader(header: Buffer): number {
  if (header.length < HEADER_BYTES || header.toString('latin1', 0, 4) !== 'PACK') {
    throw new NodeError('PACK_REJECTED', 'What was received does not begin as a pack does')
  }
  const objects = header.readUInt32BE(8)
  if (objects > packObjectsMax) {
    const message = `The pack announces ${objects} objects, at most ${packObjectsMax} are taken`
    throw new NodeError('PACK_REJECTED', message, { objects })
  }
  return objects
}

/** Passes a bare pack on while it keeps to the limits. @throws NodeError PACK_REJECTED */
export async function* meterPack(
  pack: AsyncIterable<Uint8Array>,
  bytesMax: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0
  let header = Buffer.alloc(0)
  for await (const chunk of pack) {
    bytes += chunk.length
    if (bytes > bytesMax)
      throw new NodeError('PACK_REJECTED', `The pack has more than ${bytesMax} bytes`, { bytes })
    if (header.length < HEADER_BYTES) {
      header = Buffer.concat([header, chunk.subarray(0, HEADER_BYTES - header.length)])
      if (header.length === HEADER_BYTES) readPackHeader(header)
    }
    yield chunk
  }
  if (header.length < HEADER_BYTES)
    throw new NodeError('PACK_REJECTED', 'The pack ended before its header did')
}
