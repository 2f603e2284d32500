import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { bundleHeaderBytesMax } from '../../../src/base/limits.ts'
import { readBundleHeader } from '../../../src/datasets/founding/bundle.ts'
import { decompressed } from '../../../src/datasets/founding/decompress.ts'
import { ChunkReader } from '../../../src/datasets/git/chunk-reader.ts'

const COMMIT = 'a'.repeat(40)

/** The text in chunks of three bytes, so that no line comes as one. */
async function* dripping(text: string): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += 3) yield bytes.subarray(at, at + 3)
}

const headerOf = (text: string) => readBundleHeader(new ChunkReader(dripping(text)))

test('the header of a whole branch is read, and the pack is left where it is', async () => {
  for (const head of ['# v2 git bundle\n', '# v3 git bundle\n@object-format=sha1\n']) {
    const stream = new ChunkReader(dripping(`${head}${COMMIT} refs/heads/main\n\nPACK…`))
    assert.deepEqual(await readBundleHeader(stream), { commit: COMMIT, ref: 'refs/heads/main' })
    let rest = ''
    for (let chunk = await stream.chunk(); chunk; chunk = await stream.chunk()) {
      rest += Buffer.from(chunk).toString('latin1')
    }
    assert.equal(Buffer.from(rest, 'latin1').toString(), 'PACK…')
  }
})

test('a bundle that is no whole branch is refused, and told why', async () => {
  const wrong: [string, RegExp][] = [
    ['', /cut short/],
    ['# v2 git bun', /cut short/],
    ['PACK', /cut short/],
    ['# v4 git bundle\n\n', /does not begin/],
    ['# v2 git bundle\n\n', /no reference/],
    [`# v2 git bundle\n${COMMIT} HEAD\n`, /cut short/],
    [`# v2 git bundle\n-${COMMIT} base\n${COMMIT} HEAD\n\n`, /needs commits/],
    [`# v2 git bundle\n${COMMIT} HEAD\n${COMMIT} refs/heads/main\n\n`, /more than one/],
    [`# v2 git bundle\n@object-format=sha1\n${COMMIT} HEAD\n\n`, /SHA-1/],
    [`# v3 git bundle\n@object-format=sha256\n${COMMIT}${'b'.repeat(24)} HEAD\n\n`, /SHA-1/],
    [`# v3 git bundle\n@filter=blob:none\n${COMMIT} HEAD\n\n`, /left out/],
    [`# v3 git bundle\n@new\n${COMMIT} HEAD\n\n`, /"new"/],
    ['# v2 git bundle\nnonsense HEAD\n\n', /cannot be read/],
    [`# v2 git bundle\n${COMMIT}\n\n`, /cannot be read/],
    [`# v2 git bundle\n${COMMIT} ${'x'.repeat(bundleHeaderBytesMax)}\n\n`, /cut short, or is none/],
    [`# v3 git bundle\n${'@object-format=sha1\n'.repeat(1_000)}${COMMIT} HEAD\n\n`, /header has more/],
  ]
  for (const [text, message] of wrong) {
    await assert.rejects(
      headerOf(text),
      { code: 'INVALID_INPUT', message },
      JSON.stringify(text.slice(0, 80)),
    )
  }
})

async function lengthOf(chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0
  for await (const chunk of chunks) bytes += chunk.length
  return bytes
}

test('compressed bytes come out whole, and no more of them than may', async () => {
  const zeros = Buffer.alloc(3_000_000)
  for (const [kind, packed] of [
    ['gzip', gzipSync(zeros)],
    ['zstd', zstdCompressSync(zeros)],
  ] as const) {
    const source = () => ReadableStream.from([packed])
    assert.equal(await lengthOf(decompressed(source(), kind, zeros.length)), zeros.length)
    await assert.rejects(lengthOf(decompressed(source(), kind, zeros.length - 1)), { code: 'TOO_LARGE' })
    const cut = ReadableStream.from([packed.subarray(0, packed.length - 9)])
    await assert.rejects(lengthOf(decompressed(cut, kind, zeros.length)), { code: 'INVALID_INPUT' }, kind)
    const wrong = ReadableStream.from([Buffer.from('neither of both')])
    await assert.rejects(lengthOf(decompressed(wrong, kind, zeros.length)), { code: 'INVALID_INPUT' }, kind)
    async function* breaking() {
      yield packed.subarray(0, 20)
      throw new Error('the sender is gone')
    }
    await assert.rejects(lengthOf(decompressed(breaking(), kind, zeros.length)), /the sender is gone/)
    for await (const chunk of decompressed(source(), kind, zeros.length)) {
      // Whoever has seen enough leaves nothing running behind.
      assert.ok(chunk.length > 0)
      break
    }
  }
})
