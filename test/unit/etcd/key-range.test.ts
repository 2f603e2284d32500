import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isShared, isWithin, prefixOf, rangeOf } from '../../../src/etcd/key-range.ts'
import { select } from '../../../src/etcd/select.ts'
import type { KeyValue, RangeRequest } from '../../../src/etcd/types.ts'
import { PREFIXES, ruleOf } from '../../../src/federation/keyspace.ts'

const range = (key: string, end = '') => rangeOf(Buffer.from(key, 'latin1'), Buffer.from(end, 'latin1'))

test("ranges are etcd's: one key, a prefix, from a key on, everything", () => {
  assert(isWithin('/tools/a', range('/tools/a')))
  assert(!isWithin('/tools/ab', range('/tools/a')))
  const prefix = range('/tools/', '/tools0')
  assert(isWithin('/tools/a', prefix) && isWithin('/tools/', prefix))
  assert(!isWithin('/tools0', prefix) && !isWithin('/pipelines/a', prefix))
  assert(isWithin('/truth/d', range('/tools/', '\0')) && !isWithin('/pipelines/a', range('/tools/', '\0')))
  assert(isWithin('/anything', range('\0', '\0')))
})

test('a range that can hold a shared key is shared, any other is not', () => {
  for (const shared of [
    range('\0', '\0'),
    range('/', '0'),
    range('/to', '/tp'),
    range('/tools/a', '/tools/b'),
  ]) {
    assert(isShared(shared), JSON.stringify(shared))
  }
  for (const foreign of [range('foo'), range('/foo/', '/foo0'), range('/tools'), range('/zzz', '\0')]) {
    assert(!isShared(foreign), JSON.stringify(foreign))
  }
})

test('every prefix named here is one of the keyspace', () => {
  for (const prefix of PREFIXES) {
    const depths = ['a', 'a/b', 'a/b/c/d'].map((rest) => ruleOf(prefix + rest))
    assert(
      depths.some((rule) => rule !== undefined),
      `${prefix} is not shared`,
    )
  }
})

test('the prefix looked at is the range itself where it is one, else everything', () => {
  assert.equal(prefixOf(range('/tools/', '/tools0')), '/tools/')
  assert.equal(prefixOf(range('/tools/a', '/tools/c')), '/')
  assert.equal(prefixOf(range('\0', '\0')), '/')
})

const kv = (key: string, revision: number, version = 1): KeyValue => ({
  key: Buffer.from(key),
  value: Buffer.from(`value of ${key}`),
  create_revision: String(revision),
  mod_revision: String(revision),
  version: String(version),
  lease: '0',
})

const request = (fields: Partial<RangeRequest> = {}): RangeRequest => ({
  key: Buffer.from('/'),
  range_end: Buffer.from('0'),
  limit: '0',
  revision: '0',
  sort_order: 0,
  sort_target: 0,
  keys_only: false,
  count_only: false,
  min_mod_revision: '0',
  max_mod_revision: '0',
  min_create_revision: '0',
  max_create_revision: '0',
  ...fields,
})

const three = [kv('a', 3), kv('b', 1, 7), kv('c', 2)]
const keys = (fields: Partial<RangeRequest>) =>
  select(three, request(fields)).kvs.map(({ key }) => Buffer.from(key).toString())

test('a limit takes the first and says that there is more; the count is that of the range', () => {
  const { kvs, more, count } = select(three, request({ limit: '2' }))
  assert.deepEqual([kvs.length, more, count], [2, true, 3])
  assert.deepEqual(select(three, request({ limit: '3' })).more, false)
})

test('keys only, and the count only', () => {
  assert.equal(select(three, request({ keys_only: true })).kvs[0]?.value.length, 0)
  const { kvs, count } = select(three, request({ count_only: true }))
  assert.deepEqual([kvs.length, count], [0, 3])
})

test('sorted by what is asked for, in either direction', () => {
  assert.deepEqual(keys({ sort_order: 2 }), ['c', 'b', 'a'])
  assert.deepEqual(keys({ sort_target: 3 }), ['b', 'c', 'a'])
  assert.deepEqual(keys({ sort_target: 1, sort_order: 2 }), ['b', 'a', 'c'])
})

test('bounds of revisions are inclusive', () => {
  assert.deepEqual(keys({ min_mod_revision: '2' }), ['a', 'c'])
  assert.deepEqual(keys({ max_create_revision: '2' }), ['b', 'c'])
})
