import { NodeError } from '../../base/errors.ts'
import { blobBytesMax } from '../../base/limits.ts'

/**
 * Applies a delta of a pack to its base (gitformat-pack, "Deltified representation"): a list of parts of the base and of
 * bytes that are new.
 *
 * @throws NodeError PACK_REJECTED
 */
export function applyDelta(base: Buffer, delta: Buffer): Buffer {
  const { baseBytes, resultBytes, end } = sizesOf(delta)
  if (baseBytes !== base.length || resultBytes > blobBytesMax) throw broken()
  const result = Buffer.alloc(resultBytes)
  let [at, filled] = [end, 0]
  const next = () => {
    if (at >= delta.length) throw broken()
    return delta[at++] as number
  }
  while (at < delta.length) {
    const order = next()
    let [from, length] = [0, order]
    let source = delta
    if ((order & 0x80) === 0) {
      from = at
      at += length
    } else {
      source = base
      length = 0
      for (let i = 0; i < 4; i += 1) if ((order & (1 << i)) !== 0) from += next() * 2 ** (8 * i)
      for (let i = 0; i < 3; i += 1) if ((order & (0x10 << i)) !== 0) length += next() * 2 ** (8 * i)
      if (length === 0) length = 0x10000
    }
    if (length === 0 || from + length > source.length || filled + length > result.length) throw broken()
    source.copy(result, filled, from, from + length)
    filled += length
  }
  if (filled !== result.length) throw broken()
  return result
}

/** How much a delta makes. @throws NodeError PACK_REJECTED */
export function deltaResultBytes(delta: Buffer): number {
  return sizesOf(delta).resultBytes
}

/** A delta begins with the sizes of its base and of its result. */
function sizesOf(delta: Buffer): { baseBytes: number; resultBytes: number; end: number } {
  let at = 0
  const size = () => {
    let [value, byte] = [0, 0x80]
    for (let shift = 0; (byte & 0x80) !== 0; shift += 7) {
      if (at >= delta.length || !Number.isSafeInteger(value)) throw broken()
      byte = delta[at++] as number
      value += (byte & 0x7f) * 2 ** shift
    }
    return value
  }
  const [baseBytes, resultBytes] = [size(), size()]
  return { baseBytes, resultBytes, end: at }
}

function broken(): NodeError {
  return new NodeError('PACK_REJECTED', 'The received pack holds a delta that does not fit its base')
}
