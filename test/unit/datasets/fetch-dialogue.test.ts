import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorCode } from '../../../src/base/errors.ts'
import { ChunkReader } from '../../../src/datasets/git/chunk-reader.ts'
import { fetchRequest, readAdvertisement, readPack } from '../../../src/datasets/git/fetch-dialogue.ts'
import { bandPackets, FLUSH, PacketReader, packet } from '../../../src/datasets/git/pkt-line.ts'

const [ONE, TWO] = ['1'.repeat(40), '2'.repeat(40)]

function reader(...parts: readonly (string | Uint8Array)[]): ChunkReader {
  const all = Buffer.concat(parts.map((part) => Buffer.from(part as string)))
  async function* chunks() {
    for (let at = 0; at < all.length; at += 11) yield all.subarray(at, at + 11)
  }
  return new ChunkReader(chunks())
}

const advertised = (...lines: string[]) =>
  readAdvertisement(new PacketReader(reader(...lines.map((line) => packet(`${line}\n`)), FLUSH)))

async function packOf(...parts: readonly (string | Uint8Array)[]): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of readPack(reader(...parts))) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces).toString()
}

test('a question names all that is wanted and known, and asks for no second round', async () => {
  const known = await advertised('version 2', 'agent=git/2.30', 'fetch=shallow', 'object-format=sha1')
  const text = fetchRequest([ONE], [TWO], known).toString()
  const words = ['command=fetch', 'object-format=sha1', 'thin-pack', 'ofs-delta', 'no-progress']
  const said = [...words, `want ${ONE}`, `have ${TWO}`, 'done'].map((line) => packet(`${line}\n`).toString())
  assert.equal(text, [...said.slice(0, 2), '0001', ...said.slice(2), '0000'].join(''))
  assert.doesNotMatch(
    fetchRequest([ONE], [], await advertised('version 2', 'fetch')).toString(),
    /object-format/,
  )
})

test('a server that does not speak as we need is told from one that is cut', async () => {
  await assert.rejects(advertised('version 1', 'fetch'), { code: 'UNSUPPORTED' })
  await assert.rejects(advertised('version 2', 'ls-refs'), { code: 'UNSUPPORTED' })
  await assert.rejects(advertised('version 2', 'fetch', 'object-format=sha256'), { code: 'UNSUPPORTED' })
  await assert.rejects(advertised('ERR no such place'), { code: 'GIT_FAILED', message: /no such place/ })
  await assert.rejects(readAdvertisement(new PacketReader(reader(packet('version 2\n')))), {
    code: 'STREAM_CLOSED',
  })
  await assert.rejects(advertised('version 2', ...Array.from({ length: 101 }, () => 'x')), {
    code: 'TOO_LARGE',
  })
})

test('a pack comes out of its band, whatever is said beside it', async () => {
  const parts = [
    packet('packfile\n'),
    packet('\x02Counting\n'),
    packet('\x01PA'),
    packet('\x01'),
    packet('\x01CK'),
    FLUSH,
  ]
  assert.equal(await packOf(...parts), 'PACK')
  assert.equal(await packOf(packet('acknowledgments\n'), packet('NAK\n'), '0001', ...parts), 'PACK')
})

test('only its mark ends a pack', async () => {
  const begun = [packet('packfile\n'), ...bandPackets(1, Buffer.from('PACK'))]
  const failures: [ErrorCode, readonly (string | Uint8Array)[]][] = [
    ['STREAM_CLOSED', []],
    ['STREAM_CLOSED', begun],
    ['STREAM_CLOSED', [...begun, '0009']],
    ['INVALID_INPUT', [...begun, '0001']],
    ['INVALID_INPUT', [...begun, '0004']],
    ['INVALID_INPUT', [...begun, packet('\x04x')]],
    ['INVALID_INPUT', [...begun, '<html>']],
    ['INVALID_INPUT', Array.from({ length: 200 }, () => packet('wait\n'))],
    ['INVALID_INPUT', [...begun, ...Array.from({ length: 20_001 }, () => packet('\x01'))]],
    ['GIT_FAILED', [...begun, packet('\x03the disk is gone')]],
    ['GIT_FAILED', [packet('ERR \x1b[2Jno')]],
    ['COMMIT_NOT_FOUND', [packet(`ERR upload-pack: not our ref ${ONE}`)]],
  ]
  for (const [index, [code, parts]] of failures.entries()) {
    await assert.rejects(packOf(...parts), { code }, `case ${index}`)
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is in it is the point
  await assert.rejects(packOf(packet('ERR \x1b[2Jno')), (error) => !/\x1b/.test((error as Error).message))
})
