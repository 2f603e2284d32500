import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { etcdMessageDepthMax } from '../../../src/base/limits.ts'
import { decode, encode } from '../../../src/etcd/wire/codec.ts'
import { MalformedMessage } from '../../../src/etcd/wire/reader.ts'
import { messageNames, messageType } from '../../../src/etcd/wire/schema.ts'
import { anyMessage, protobufType } from '../../support/etcd-wire.ts'

const RUNS = { numRuns: 60 }

for (const name of messageNames) {
  const type = messageType(name)
  const theirs = protobufType(type)

  test(`${name} is read as it was written`, () => {
    const property = fc.property(anyMessage(type), (message) => {
      assert.deepEqual(decode(type, encode(type, message)), message)
    })
    fc.assert(property, RUNS)
  })

  test(`${name} is for protobufjs what it is here`, () => {
    const property = fc.property(anyMessage(type), (message) => {
      const ours = encode(type, message)
      const read = theirs.toObject(theirs.decode(ours), { longs: String })
      const written = theirs.encode(theirs.fromObject(asTexts(message) as object)).finish()
      assert.deepEqual(decode(type, Buffer.from(written)), message)
      assert.deepEqual(theirs.toObject(theirs.decode(written), { longs: String }), read)
    })
    fc.assert(property, RUNS)
  })

  test(`${name} is read from any bytes, or refused in words`, () => {
    const flipped = fc
      .tuple(anyMessage(type), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 }))))
      .map(([m, flips]) => {
        const bytes = Buffer.from(encode(type, m))
        for (const [place, value] of flips) bytes[place % Math.max(1, bytes.length)] = value
        return bytes
      })
    const random = fc.uint8Array({ maxLength: 80 }).map((array) => Buffer.from(array))
    const property = fc.property(fc.oneof(flipped, random), (bytes) => {
      try {
        decode(type, bytes)
      } catch (error) {
        assert(error instanceof MalformedMessage, String(error))
      }
    })
    fc.assert(property, RUNS)
  })
}

/** protobufjs takes 64-bit numbers as text. */
function asTexts(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (Array.isArray(value)) return value.map(asTexts)
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value
  const entries = Object.entries(value).filter(([, inner]) => !isAbsent(inner))
  return Object.fromEntries(entries.map(([key, inner]) => [key, asTexts(inner)]))
}

/** A default is not sent: in a union it would look like a choice. */
function isAbsent(value: unknown): boolean {
  return [undefined, 0, 0n, '', false].includes(value as undefined) || (value as Uint8Array).length === 0
}

const range = messageType('RangeRequest')
const hex = (text: string) => Buffer.from(text, 'hex')

test("what is no message is refused in etcd's words", () => {
  const refusals: readonly (readonly [string, string])[] = [
    ['ff', 'unexpected EOF'],
    ['0aff', 'unexpected EOF'],
    ['0affffffffff01', 'unexpected EOF'],
    ['0affffffffffffffffff01', 'proto: negative length found during unmarshaling'],
    ['0bff', 'proto: wrong wireType = 3 for field Key'],
    ['0801', 'proto: wrong wireType = 0 for field Key'],
    ['0f', 'proto: wrong wireType = 7 for field Key'],
    ['1203616263', ''],
    ['00', 'proto: RangeRequest: illegal tag 0 (wire type 0)'],
    ['0c', 'proto: RangeRequest: wiretype end group for non-group'],
    ['18ffffffffffffffffffff01', 'proto: integer overflow'],
    ['a31f', 'unexpected EOF'],
    ['a61f', 'proto: illegal wireType 6'],
  ]
  for (const [bytes, message] of refusals) {
    if (message === '') decode(range, hex(bytes))
    else assert.throws(() => decode(range, hex(bytes)), { name: 'MalformedMessage', message }, bytes)
  }
})

test('what a newer client sends besides is passed over', () => {
  // Field 500 as a varint, as 8 bytes, as bytes, as a group that holds another, as 4 bytes; then the key.
  const unknown =
    'a01f05' + 'a11f0102030405060708' + 'a21f03010203' + 'a31f0801131008140a0101a41f' + 'a51f01020304'
  assert.deepEqual(decode(range, hex(`${unknown}0a0161`)).key, Buffer.from('a'))
})

test('messages in messages are read to a depth, and not beyond', () => {
  const txn = messageType('TxnRequest')
  const nested = (depth: number): object => {
    return depth === 0 ? {} : { success: [{ request_txn: nested(depth - 1) }] }
  }
  // Each Txn stands in a RequestOp, which is a message too.
  decode(txn, encode(txn, nested(etcdMessageDepthMax / 2)))
  const tooDeep = encode(txn, nested(etcdMessageDepthMax / 2 + 1))
  assert.throws(() => decode(txn, tooDeep), /maximum recursion depth/)
  const groups = Buffer.alloc(1_000_000, 0xa3)
  for (let i = 1; i < groups.length; i += 2) groups[i] = 0x1f
  assert.throws(() => decode(range, groups), /maximum recursion depth/)
})

test('the last of a union stays, and no other', () => {
  const operation = messageType('RequestOp')
  const both = Buffer.concat([
    encode(operation, { request_put: { key: 'a' } }),
    encode(operation, { request_range: { key: 'b' } }),
  ])
  const read = decode(operation, both)
  assert.equal(read.request_put, undefined)
  assert.deepEqual((read.request_range as { key: Buffer }).key, Buffer.from('b'))
})

test('a message that is there in its bytes is taken as it is', () => {
  const kv = { key: Buffer.from('/a'), value: Buffer.alloc(300, 7), mod_revision: 5n, version: 2n }
  const keyValue = messageType('KeyValue')
  const encoded = encode(keyValue, kv)
  const framed = encode(messageType('PutResponse'), { prev_kv: kv })
  for (const [name, message] of [
    ['RangeResponse', (one: object) => ({ kvs: [one, one], count: 2 })],
    ['DeleteRangeResponse', (one: object) => ({ prev_kvs: [one, one], deleted: 2 })],
    ['Event', (one: object) => ({ kv: one, prev_kv: one })],
  ] as const) {
    const type = messageType(name)
    const plain = encode(type, message(kv))
    assert.deepEqual(encode(type, message({ encoded })), plain, name)
    assert.deepEqual(encode(type, message({ encoded, framed })), plain, name)
  }
  assert.deepEqual(encode(keyValue, { encoded }), encoded)
})

test('numbers stand for bigints, and Latin-1 text for bytes', () => {
  const type = messageType('KeyValue')
  const bytes = encode(type, { key: '/\u00ff', mod_revision: 2 ** 40, lease: -1 })
  const { key, mod_revision, lease } = decode(type, bytes)
  assert.deepEqual([key, mod_revision, lease], [Buffer.from([0x2f, 0xff]), 2n ** 40n, -1n])
})

test('a message that cannot be written leaves nothing in the next', () => {
  const type = messageType('KeyValue')
  assert.throws(() => encode(type, { key: Buffer.from('a'), mod_revision: 1.5 }), RangeError)
  assert.deepEqual(encode(type, { key: 'b' }), hex('0a0162'))
  const large = encode(type, { value: Buffer.alloc(3_000_000, 1) }, 5)
  const small = encode(type, { key: 'c' }, 5)
  assert.deepEqual(small.subarray(5), hex('0a0163'))
  assert.equal((decode(type, large.subarray(5)).value as Buffer).length, 3_000_000)
})
