import { inflateSync } from 'node:zlib'
import { NodeError } from '../../base/errors.ts'
import { blobBytesMax, packInMemoryBytesMax } from '../../base/limits.ts'
import { readPackHeader } from './pack-meter.ts'

const HEADER_BYTES = 12
const TRAILER_BYTES = 20
const [OFFSET_DELTA, REF_DELTA] = [6, 7]

/**
 * Unpacks every entry of a pack once, within bounds, and keeps nothing: isomorphic-git would unpack whatever a few
 * thousand bytes blow up to (gitformat-pack).
 *
 * @returns the number of objects. @throws NodeError PACK_REJECTED
 */
export function scanPack(pack: Buffer): number {
  const objects = readPackHeader(pack)
  const end = pack.length - TRAILER_BYTES
  let at = HEADER_BYTES
  let unpacked = 0
  for (let i = 0; i < objects; i += 1) {
    let byte = byteAt(pack, at++, end)
    const type = (byte >> 4) & 7
    let size = byte & 15
    for (let shift = 4; (byte & 0x80) !== 0; shift += 7) {
      byte = byteAt(pack, at++, end)
      size += (byte & 0x7f) * 2 ** shift
    }
    if (type === OFFSET_DELTA) while ((byteAt(pack, at++, end) & 0x80) !== 0);
    if (type === REF_DELTA) at += 20
    if (size > blobBytesMax) throw tooBig()
    const { bytes, used } = inflate(pack.subarray(at, end), size)
    at += used
    unpacked += type === OFFSET_DELTA || type === REF_DELTA ? deltaResultSize(bytes) : size
    // As much again as the pack itself may have, for what compression and deltas honestly save.
    if (unpacked > 4 * packInMemoryBytesMax) throw tooBig()
  }
  if (at !== end) throw broken('has bytes that belong to no object')
  return objects
}

function inflate(from: Buffer, size: number): { bytes: Buffer; used: number } {
  try {
    // `info` also tells how much input was used; the types do not know of it.
    const options = { maxOutputLength: Math.max(size, 1), info: true }
    const result = inflateSync(from, options) as unknown as {
      buffer: Buffer
      engine: { bytesWritten: number }
    }
    if (result.buffer.length === size) return { bytes: result.buffer, used: result.engine.bytesWritten }
  } catch (cause) {
    throw broken('does not unpack to what it announces', cause)
  }
  throw broken('does not unpack to what it announces')
}

/** A delta begins with the sizes of its base and of its result. */
function deltaResultSize(delta: Buffer): number {
  let at = 0
  let size = 0
  for (let field = 0; field < 2; field += 1) {
    size = 0
    let byte = 0x80
    for (let shift = 0; (byte & 0x80) !== 0; shift += 7) {
      byte = byteAt(delta, at++, delta.length)
      size += (byte & 0x7f) * 2 ** shift
    }
  }
  if (size > blobBytesMax) throw tooBig()
  return size
}

function byteAt(bytes: Buffer, at: number, end: number): number {
  if (at >= end) throw broken('ends inside an object')
  return bytes[at] as number
}

function broken(how: string, cause?: unknown): NodeError {
  return new NodeError('PACK_REJECTED', `The received pack ${how}`, {}, { cause })
}

function tooBig(): NodeError {
  return new NodeError('PACK_REJECTED', 'The received pack unpacks to more than this node can hold')
}
