import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FRAME_HEAD_BYTES, FrameReader, frameOf, MESSAGE_BYTES_MAX } from '../../../src/etcd/wire/frames.ts'
import { encodeMessage, isGrpc, timeoutMs, tokenOf } from '../../../src/etcd/wire/grpc-headers.ts'
import { messageType } from '../../../src/etcd/wire/schema.ts'

const put = messageType('PutRequest')

test('messages come whole, wherever the pieces end', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 })
  const values = fc.array(fc.nat({ max: 2_000 }), { maxLength: 6 })
  const property = fc.property(values, sizes, (lengths, cuts) => {
    const frames = lengths.map((length) => frameOf(put, { value: Buffer.alloc(length, length) }))
    const bytes = Buffer.concat(frames)
    const reader = new FrameReader()
    const messages: Buffer[] = []
    for (let at = 0, turn = 0; at < bytes.length; turn++) {
      const size = cuts[turn % cuts.length] ?? 1
      reader.push(bytes.subarray(at, at + size))
      at += size
      for (let message = reader.next(); message; message = reader.next()) messages.push(Buffer.from(message))
    }
    assert.deepEqual(
      messages,
      frames.map((frame) => frame.subarray(FRAME_HEAD_BYTES)),
    )
    assert.equal(reader.length, 0)
  })
  fc.assert(property)
})

test('a message that came as one piece is not copied', () => {
  const frame = frameOf(put, { key: 'a' })
  const reader = new FrameReader()
  reader.push(frame)
  assert.equal(reader.next()?.buffer, frame.buffer)
})

test('the length is refused before the message is there, and so is what is compressed', () => {
  const head = (flag: number, length: number) => {
    const bytes = Buffer.alloc(FRAME_HEAD_BYTES)
    bytes[0] = flag
    bytes.writeUInt32BE(length, 1)
    return bytes
  }
  const reader = new FrameReader()
  reader.push(head(0, MESSAGE_BYTES_MAX + 1))
  assert.throws(() => reader.next(), {
    code: 8,
    details: 'grpc: received message larger than max (2097153 vs. 2097152)',
  })
  const zipped = new FrameReader()
  zipped.push(head(1, 0))
  assert.throws(() => zipped.next(), {
    code: 13,
    details: 'grpc: compressed flag set with identity or empty encoding',
  })
})

test('a message in very small pieces is put together in little time and little memory', () => {
  const frame = frameOf(put, { value: Buffer.alloc(1_000_000, 1) })
  const reader = new FrameReader()
  for (let at = 0; at < frame.length; at++) reader.push(frame.subarray(at, at + 1))
  assert.deepEqual(reader.next(), frame.subarray(FRAME_HEAD_BYTES))
})

test('timeouts are read in all their units', () => {
  const read = ['1H', '2M', '3S', '4m', '5u', '600000n'].map((text) => timeoutMs(text))
  assert.deepEqual(read, [3_600_000, 120_000, 3_000, 4, 0.005, 0.6])
  for (const text of ['', 'x', '1', '-1S', '123456789S', '1.5S']) assert(Number.isNaN(timeoutMs(text)), text)
  assert.equal(timeoutMs(undefined), undefined)
  assert.equal(timeoutMs('99999999H'), undefined)
})

test('messages of a status are percent-encoded', () => {
  assert.equal(encodeMessage('plain "text"'), 'plain "text"')
  assert.equal(encodeMessage('100 %\n\u00e4'), '100 %25%0A%C3%A4')
})

test('gRPC is told by the type of its content', () => {
  for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc;x'])
    assert(isGrpc(type), type)
  for (const type of [undefined, 'application/json', 'application/grpc-web']) assert(!isGrpc(type), type)
})

test('the token is metadata, or a header of HTTP', () => {
  assert.equal(tokenOf({ token: 'a', authorization: 'b' }), 'a')
  assert.equal(tokenOf({ authorization: 'b' }), 'b')
  assert.equal(tokenOf({ authorization: 'Bearer b' }), 'b')
  assert.equal(tokenOf({}), undefined)
})
