import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
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
import { unpack } from '../../../src/datasets/git/pack-unpack.ts'
import { nameFault } from '../../../src/datasets/git/path-rules.ts'

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

test('any bytes are a pack, or an error of ours', async () => {
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\x03', 'latin1')
  const property = fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
    const body = Buffer.concat([header, bytes])
    const pack = Buffer.concat([body, createHash('sha1').update(body).digest()])
    await assert.rejects(
      async () => {
        for await (const object of unpack(pack)) assert.ok(object.oid)
      },
      (error) => isNodeError(error, 'PACK_REJECTED'),
    )
  })
  await fc.assert(property)
})

test('a name in a tree is judged as it is anywhere else, whichever way its bytes go', () => {
  const part = fc.constantFrom(
    ...[
      'con',
      'CON',
      'prn',
      'aux',
      'nul',
      'com1',
      'COM\u00b9',
      'lpt9',
      'conin$',
      'a',
      'é',
      'x',
      'data',
      'csv',
    ],
    ...['.git', 'git~1', '.', '..', '-', '_', '\u200c', ':', ' ', '~', '~1', '\\', '/', '\x01', '\ufffd'],
  )
  const names = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(names, (name) => {
      const bytes = Buffer.concat([Buffer.from(`100644 ${name}\0`), Buffer.alloc(20)])
      const read = () => decodeTree(OID, bytes)
      if (nameFault(name) === undefined) assert.equal(read()[0]?.name, name)
      else assert.throws(read, (error) => isNodeError(error, 'PATH_UNSAFE'), JSON.stringify(name))
    }),
    { numRuns: 2_000 },
  )
})

test('a file and a directory of one name are found, however many names stand between them', () => {
  const entry = (mode: string, name: string) => Buffer.from(`${mode} ${name}\0${'1'.repeat(20)}`, 'latin1')
  const between = ['a-b', 'a-b-c', 'a.c', 'a.c.d']
  const middle = between.map((name) => entry('100644', name))
  const twice = Buffer.concat([entry('100644', 'a'), ...middle, entry('40000', 'a')])
  assert.throws(
    () => decodeTree(OID, twice),
    (error) => isNodeError(error, 'PATH_UNSAFE') && error.data.path === 'a',
  )
  const once = Buffer.concat([...middle, entry('40000', 'a'), entry('100644', 'a0'), entry('40000', 'b')])
  assert.equal(decodeTree(OID, once).length, 7)
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
