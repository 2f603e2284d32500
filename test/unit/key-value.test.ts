import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keyBytes } from '../../src/registry/key-range.ts'
import { FRAME_TAG, KeyValue } from '../../src/registry/key-value.ts'
import { etcdProto } from '../support/etcd-wire.ts'

/** As wide as revisions and versions can be; small ones are the rule. */
const count = fc.oneof(
  fc.nat(300),
  fc.constantFrom(127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32, 2 ** 35 - 1, 2 ** 53 - 1),
)
const bytes = fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 120, maxLength: 300 }))
const lease = fc.oneof(fc.constant(0n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n))
const fields = fc.record({
  key: bytes.map((key) => Buffer.from(key).toString('latin1')),
  ...{ created: count, modified: count, version: count, lease },
})
const response = etcdProto.lookupType('etcdserverpb.RangeResponse')

/** What etcd's own definitions give for it, by protobufjs; zeros and what is empty are left out in proto3. */
function theirs(
  kv: { key: string; created: number; modified: number; version: number; lease: bigint },
  value: Uint8Array,
) {
  const entries = {
    key: keyBytes(kv.key),
    create_revision: String(kv.created),
    mod_revision: String(kv.modified),
    version: String(kv.version),
    value,
    lease: String(kv.lease),
  }
  const present = Object.entries(entries).filter(([, entry]) => entry.length > 0 && entry !== '0')
  return response.encode(response.fromObject({ kvs: [Object.fromEntries(present)] })).finish()
}

test('a key-value is framed as etcd sends it in a range', () => {
  fc.assert(
    fc.property(fields, bytes, (kv, value) => {
      const { framed, encoded } = KeyValue.of(kv, value)
      assert.deepEqual(Buffer.from(framed), Buffer.from(theirs(kv, value)))
      assert.equal(framed[0], FRAME_TAG)
      assert.deepEqual(Buffer.from(framed.subarray(framed.length - encoded.length)), Buffer.from(encoded))
    }),
    { numRuns: 1_000 },
  )
})

test('what was framed is read again as it was', () => {
  fc.assert(
    fc.property(fields, bytes, fc.nat(99), (kv, value, sub) => {
      const read = KeyValue.parse(KeyValue.of(kv, value, sub).framed, sub)
      const { key, created, modified, version, lease: held } = read
      assert.deepEqual({ key, created, modified, version, lease: held }, { ...kv })
      assert.deepEqual(Buffer.from(read.value), Buffer.from(value))
      assert.equal(read.sub, sub)
      assert.equal(read.isTombstone, kv.version === 0)
    }),
    { numRuns: 1_000 },
  )
})

test('a tombstone has its key and its revision alone', () => {
  const kv = KeyValue.parse(KeyValue.tombstone('/tools/a', 7).framed, 0)
  assert.deepEqual([kv.key, kv.modified, kv.version, kv.created, kv.value.length], ['/tools/a', 7, 0, 0, 0])
  assert(kv.isTombstone)
})

test('bytes that this program did not write are refused, and never read beyond their end', () => {
  fc.assert(
    fc.property(fields, bytes, fc.nat(), (kv, value, at) => {
      const { framed } = KeyValue.of(kv, value)
      // The message's own length, behind the tag, is not looked at: the store keeps lengths itself.
      const cut = framed.subarray(0, at % framed.length)
      let read: KeyValue | undefined
      try {
        read = KeyValue.parse(cut, 0)
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'STORE_FAILED')
      }
      // A cut between two fields leaves a message, but another one.
      if (read !== undefined) assert(read.framed.length < framed.length)
    }),
    { numRuns: 1_000 },
  )
  for (const hex of ['', '0a', '1200', '120a61', '12ff', '12030aff61', '12020801', '12040a01617f']) {
    const wrong = Buffer.from(hex, 'hex')
    if (hex === '1200') assert.equal(KeyValue.parse(wrong, 0).key, '')
    else assert.throws(() => KeyValue.parse(wrong, 0), { code: 'STORE_FAILED' }, hex)
  }
})
