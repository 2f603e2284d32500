import { NodeError } from '../../base/errors.ts'
import { blobBytesMax } from '../../base/limits.ts'

/**
 * Applies a delta of a pack to its base (gitformat-pack, "Deltified representation"): a list of parts of the base and of
 * bytes that are new.
 *
 * @throws NodeError PACK_REJECTED
 */
export function applyDelta(base: Buffer, delta: Buffer): Buffer {
  let at = 0
  const next = () => {
    if (at >= delta.length) throw broken()
    return delta[at++] as number
  }
  const size = () => {
    let [value, byte] = [0, 0x80]
    for (let shift = 0; (byte & 0x80) !== 0; shift += 7) {
      byte = next()
      value += (byte & 0x7f) * 2 ** shift
      if (value > blobBytesMax) throw broken()
    }
    return value
  }
  if (size() !== base.length) throw broken()
  const result = Buffer.alloc(size())
  let filled = 0
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

function broken(): NodeError {
  return new NodeError('PACK_REJECTED', 'The received pack holds a delta that does not fit its base')
}
