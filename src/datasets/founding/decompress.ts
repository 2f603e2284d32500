import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { messageOf, NodeError } from '../../base/errors.ts'

export type Compression = 'gzip' | 'zstd'

/**
 * What compressed bytes hold, as it is read; nothing is unpacked that nobody reads.
 *
 * @throws NodeError TOO_LARGE beyond `bytesMax` (a few kilobytes can hold gigabytes of zeros), INVALID_INPUT when the
 * bytes do not decompress, and what the source throws.
 */
export async function* decompressed(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  bytesMax: number,
): AsyncGenerator<Uint8Array> {
  const through = compression === 'gzip' ? createGunzip() : createZstdDecompress()
  // What the source fails with comes out of `through` as well, where it is heard.
  const feeding = pipeline(Readable.from(source), through).catch(() => undefined)
  let bytes = 0
  try {
    for await (const chunk of through as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > bytesMax) {
        throw new NodeError('TOO_LARGE', `What is packed holds more than ${bytesMax} bytes`, { bytesMax })
      }
      yield chunk
    }
    await feeding
  } catch (cause) {
    // Errors of zlib carry its number; all others are the source's own.
    if (cause instanceof NodeError || !(cause instanceof Error && 'errno' in cause)) throw cause
    const message = `What is packed cannot be unpacked: ${messageOf(cause)}`
    throw new NodeError('INVALID_INPUT', message, {}, { cause })
  } finally {
    through.destroy()
  }
}
