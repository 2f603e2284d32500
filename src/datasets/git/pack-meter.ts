/** The bounds of a pack while it arrives: bytes are counted, and the number of objects is read from its header. */
import { NodeError } from '../../base/errors.ts'
import { packObjectsMax } from '../../base/limits.ts'

const HEADER_BYTES = 12

/** Reads the header of a pack that goes past in chunks. */
export class PackHeader {
  #header = Buffer.alloc(0)
  #objects: number | undefined

  /** The number that the pack announces, once its header has passed. */
  get objects(): number | undefined {
    return this.#objects
  }

  /** @throws NodeError PACK_REJECTED at the limit, and for what is no pack. */
  add(chunk: Uint8Array): void {
    if (this.#objects !== undefined) return
    this.#header = Buffer.concat([this.#header, chunk.subarray(0, HEADER_BYTES - this.#header.length)])
    if (this.#header.length === HEADER_BYTES) this.#objects = readPackHeader(this.#header)
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

/** Passes a pack on while it keeps to the limits. @throws NodeError PACK_REJECTED */
export async function* meterPack(
  pack: AsyncIterable<Uint8Array>,
  bytesMax: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const header = new PackHeader()
  let bytes = 0
  for await (const chunk of pack) {
    bytes += chunk.length
    if (bytes > bytesMax) {
      throw new NodeError('PACK_REJECTED', `The pack has more than ${bytesMax} bytes`, { bytes })
    }
    header.add(chunk)
    yield chunk
  }
  if (header.objects === undefined) {
    throw new NodeError('PACK_REJECTED', 'The pack ended before its header did')
  }
}
