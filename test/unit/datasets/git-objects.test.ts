import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isNodeError, NodeError } from '../../../src/base/errors.ts'
import {
  decodeCommit,
  decodeTree,
  encodeCommit,
  encodeTree,
  nestTrees,
  objectId,
} from '../../../src/datasets/git/git-objects.ts'
import { meterPack, PackHeader } from '../../../src/datasets/git/pack-meter.ts'
import { scanPack } from '../../../src/datasets/git/pack-scan.ts'

const OID = '1'.repeat(40)

test('the ids are those that git gives', () => {
  assert.equal(objectId('tree', encodeTree([])), '4b825dc642cb6eb9a060e54bf8d69288fbee4904')
  assert.equal(objectId('blob', Buffer.from('hello\n')), 'ce013625030ba8dba906f756967f9e9ca394464a')
  assert.equal(nestTrees([]).root, '4b825dc642cb6eb9a060e54bf8d69288fbee4904')
})

test('a directory sorts as if its name ended in a slash', () => {
  const entries = [
    { mode: '40000', name: 'a', oid: OID },
    { mode: '100644', name: 'a.b', oid: OID },
    { mode: '100644', name: 'a0', oid: OID },
  ] as const
  assert.deepEqual(
    decodeTree(OID, encodeTree(entries)).map((entry) => entry.name),
    ['a.b', 'a', 'a0'],
  )
})

test('a commit comes back as it was given', () => {
  const commit = {
    tree: OID,
    parents: [OID, '2'.repeat(40)],
    author: { name: 'Ada Lovelace', email: 'ada@example.invalid' },
    timeMs: 1_700_000_000_000,
    message: 'Subject\n\nparent not-a-parent\n',
  }
  assert.deepEqual(decodeCommit(OID, encodeCommit(commit)), { oid: OID, ...commit })
})

test('what would break out of a field of a commit is refused', () => {
  const commit = { tree: OID, parents: [], author: { name: 'a', email: 'b' }, timeMs: 0, message: '' }
  for (const wrong of [
    { ...commit, author: { name: 'a\nparent x', email: 'b' } },
    { ...commit, author: { name: 'a <x>', email: 'b' } },
    { ...commit, tree: 'HEAD' },
    { ...commit, parents: ['x'] },
    { ...commit, timeMs: Number.NaN },
    { ...commit, message: 'a\0b' },
  ]) {
    assert.throws(
      () => encodeCommit(wrong),
      (error) => isNodeError(error, 'INVALID_INPUT'),
    )
  }
})

test('any bytes are a tree, or an error of ours; they never make an entry against the rules', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeTree(OID, bytes)
      } catch (error) {
        assert.ok(error instanceof NodeError)
      }
    }),
  )
})

test('any bytes are a pack, or an error of ours', () => {
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\x03', 'latin1')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.throws(
        () => scanPack(Buffer.concat([header, bytes, Buffer.alloc(20)])),
        (error) => isNodeError(error, 'PACK_REJECTED'),
      )
    }),
  )
})

test('the number of objects is found however a pack is cut into chunks', () => {
  const pack = Buffer.from('PACK\0\0\0\x02\0\0\x01\x02rest', 'latin1')
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1 }), (sizes) => {
      const header = new PackHeader()
      for (let at = 0, i = 0; at < pack.length; i += 1) {
        const size = sizes[i % sizes.length] as number
        header.add(pack.subarray(at, at + size))
        at += size
      }
      assert.equal(header.objects, 0x102)
    }),
  )
})

test('a pack that announces too many objects is stopped at its header', () => {
  const header = Buffer.from('PACK\0\0\0\x02\xff\xff\xff\xff', 'latin1')
  assert.throws(
    () => new PackHeader().add(header),
    (error) => isNodeError(error, 'PACK_REJECTED'),
  )
})

test('whatever is sent, not a byte more than the bound is passed on', async () => {
  const chunk = Buffer.concat([Buffer.from('PACK\0\0\0\x02\0\0\0\x01', 'latin1'), Buffer.alloc(88)])
  async function* endless() {
    for (;;) yield chunk
  }
  let passed = 0
  await assert.rejects(
    async () => {
      for await (const piece of meterPack(endless(), 1_050)) passed += piece.length
    },
    (error) => isNodeError(error, 'PACK_REJECTED'),
  )
  assert.equal(passed, 1_000)
})
