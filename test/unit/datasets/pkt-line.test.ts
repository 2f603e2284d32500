import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isNodeError } from '../../../src/base/errors.ts'
import { ChunkReader } from '../../../src/datasets/git/chunk-reader.ts'
import {
  BAND_DATA,
  bandPackets,
  DELIMITER,
  FLUSH,
  lineOf,
  PacketReader,
  packet,
  packetContentMax,
  RESPONSE_END,
} from '../../../src/datasets/git/pkt-line.ts'

/** A reader of `bytes`, which come `size` at a time. */
function reading(bytes: Uint8Array | string, size = 3): PacketReader {
  const all = Buffer.from(bytes as string)
  async function* chunks() {
    for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size)
  }
  return new PacketReader(new ChunkReader(chunks()))
}

test('packets come out as they went in, however the stream is chopped', async () => {
  const sent = [
    packet('version 2\n'),
    packet(''),
    FLUSH,
    packet('a'),
    DELIMITER,
    packet(Buffer.of(1, 0)),
    RESPONSE_END,
  ]
  for (const size of [1, 2, 3, 5, 7, 1_000]) {
    const reader = reading(Buffer.concat(sent), size)
    const got = []
    for (let one = await reader.next(); one !== undefined; one = await reader.next()) {
      got.push(typeof one === 'string' ? one : one.toString('latin1'))
    }
    assert.deepEqual(got, ['version 2\n', '', 'flush', 'a', 'delimiter', '\x01\0', 'response-end'])
  }
})

test('lines end at a mark, lose their line feed, and are counted', async () => {
  const bytes = Buffer.concat([packet('one\n'), packet('two'), FLUSH, packet('three\n')])
  const reader = reading(bytes)
  assert.deepEqual(await reader.lines(2), { lines: ['one', 'two'], mark: 'flush' })
  assert.deepEqual(await reader.lines(2), { lines: ['three'], mark: undefined })
  await assert.rejects(reading(bytes).lines(1), { code: 'TOO_LARGE' })
  assert.equal(lineOf(Buffer.from('\n')), '')
})

test('a stream that ends inside a packet is told from one that ends between two', async () => {
  const whole = Buffer.concat([packet('abc'), packet('def')])
  for (let length = 0; length < whole.length; length += 1) {
    const reader = reading(whole.subarray(0, length))
    const read = async () => {
      while ((await reader.next()) !== undefined);
    }
    if (length % 7 === 0) await read()
    else await assert.rejects(read(), { code: 'STREAM_CLOSED' }, `ended after ${length} bytes`)
  }
})

test('what is no packet is refused before anything of its length is read', async () => {
  for (const head of ['0003', 'fff1', 'ffff', '12g4', '-001', ' 004', '0x04', '<htm']) {
    await assert.rejects(
      reading(`${head}${'x'.repeat(70_000)}`).next(),
      (error) => isNodeError(error, 'INVALID_INPUT'),
      head,
    )
  }
})

test('a side band carries any number of bytes in packets that git takes', async () => {
  const bytes = Buffer.alloc(3 * packetContentMax, 'seven..')
  const reader = reading(Buffer.concat(bandPackets(BAND_DATA, bytes)), 10_000)
  const pieces: Buffer[] = []
  for (let one = await reader.next(); one !== undefined; one = await reader.next()) {
    assert.ok(typeof one !== 'string')
    assert.ok(one.length <= packetContentMax)
    assert.equal(one[0], BAND_DATA)
    pieces.push(Buffer.from(one.subarray(1)))
  }
  assert.ok(Buffer.concat(pieces).equals(bytes))
  assert.deepEqual(bandPackets(BAND_DATA, Buffer.alloc(0)), [])
  assert.throws(() => packet(Buffer.alloc(packetContentMax + 1)), RangeError)
})
