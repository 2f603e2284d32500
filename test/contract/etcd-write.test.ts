import assert from 'node:assert/strict'
import { status } from '@grpc/grpc-js'
import { onEveryBackend } from '../support/etcd-backend.ts'
import { refused, revisionOf } from '../support/etcd-raw.ts'
import { below, bytes, counters, putOp, shown, TO_THE_END } from '../support/etcd-words.ts'

const { INVALID_ARGUMENT, NOT_FOUND, OUT_OF_RANGE } = status
const COMPACTED = 'etcdserver: mvcc: required revision has been compacted'
const FUTURE = 'etcdserver: mvcc: required revision is a future revision'

onEveryBackend('etcd: Put, DeleteRange and Compact', (tell) => {
  tell('both', 'a key counts its changes, and begins anew when it was deleted', async ({ raw, key }) => {
    const now = async () => counters((await raw.range({ key: key('a') })).kvs[0])
    const put = async (value: string) => revisionOf(await raw.put({ key: key('a'), value: bytes(value) }))
    const lease = '0'
    const first = await put('1')
    assert.deepEqual(await now(), { created: first, modified: first, version: 1, lease })
    const second = await put('2')
    assert.equal(second, first + 1)
    assert.deepEqual(await now(), { created: first, modified: second, version: 2, lease })
    const same = await put('2')
    assert.equal(same, second + 1, 'the same value again is a change too')
    assert.deepEqual(await now(), { created: first, modified: same, version: 3, lease })
    assert.equal(revisionOf(await raw.delete({ key: key('a') })), same + 1)
    assert.equal(await now(), undefined)
    const again = await put('3')
    assert.equal(again, same + 2)
    assert.deepEqual(await now(), { created: again, modified: again, version: 1, lease })
  })

  tell('both', 'a put answers what was there before, when asked', async ({ raw, key, prefix }) => {
    const a = key('a')
    const first = await raw.put({ key: a, value: bytes('1'), prev_kv: true })
    assert.equal(first.prev_kv, null)
    const second = await raw.put({ key: a, value: bytes('2'), prev_kv: true })
    assert.deepEqual(shown([second.prev_kv], prefix), ['a=1'])
    const created = revisionOf(first)
    assert.deepEqual(counters(second.prev_kv), { created, modified: created, version: 1, lease: '0' })
    assert.equal((await raw.put({ key: a, value: bytes('3') })).prev_kv, null)
    await raw.delete({ key: a })
    assert.equal((await raw.put({ key: a, value: bytes('4'), prev_kv: true })).prev_kv, null)
  })

  tell('local', 'a put can leave the value as it is', async ({ raw, key, prefix }) => {
    const a = key('a')
    const first = revisionOf(await raw.put({ key: a, value: bytes('kept') }))
    const touched = await raw.put({ key: a, ignore_value: true, prev_kv: true })
    assert.deepEqual(shown([touched.prev_kv], prefix), ['a=kept'])
    const { kvs } = await raw.range({ key: a })
    assert.deepEqual(shown(kvs, prefix), ['a=kept'])
    assert.deepEqual(counters(kvs[0]), { created: first, modified: first + 1, version: 2, lease: '0' })
    const provided = raw.put({ key: a, value: bytes('x'), ignore_value: true })
    await refused(provided, INVALID_ARGUMENT, 'etcdserver: value is provided')
    const missing = raw.put({ key: key('b'), ignore_value: true })
    await refused(missing, INVALID_ARGUMENT, 'etcdserver: key not found')
  })

  tell('local', 'a put can leave the lease as it is', async ({ raw, key }) => {
    const a = key('a')
    const { ID } = await raw.grant({ TTL: 60 })
    await raw.put({ key: a, value: bytes('1'), lease: ID })
    await raw.put({ key: a, value: bytes('2'), ignore_lease: true })
    const leaseOf = async () => (await raw.range({ key: a })).kvs[0]?.lease
    assert.equal(await leaseOf(), ID)
    await raw.put({ key: a, value: bytes('3') })
    assert.equal(await leaseOf(), '0')
    const provided = raw.put({ key: a, value: bytes('x'), lease: ID, ignore_lease: true })
    await refused(provided, INVALID_ARGUMENT, 'etcdserver: lease is provided')
    const missing = raw.put({ key: key('b'), value: bytes('x'), ignore_lease: true })
    await refused(missing, INVALID_ARGUMENT, 'etcdserver: key not found')
    await raw.revoke(ID)
  })

  tell('both', 'a put that cannot be is refused and changes nothing', async ({ raw, key }) => {
    const before = await raw.revision()
    const noKey = 'etcdserver: key is not provided'
    await refused(raw.put({ value: bytes('1') }), INVALID_ARGUMENT, noKey)
    const lost = raw.put({ key: key('a'), value: bytes('1'), lease: '4242' })
    await refused(lost, NOT_FOUND, 'etcdserver: requested lease not found')
    const big = raw.put({ key: key('a'), value: Buffer.alloc(1_572_864) })
    await refused(big, INVALID_ARGUMENT, 'etcdserver: request is too large')
    assert.equal(await raw.revision(), before)
  })

  tell('local', 'of several reasons against a put the lease is named first', async ({ raw, key }) => {
    const both = raw.put({ key: key('none'), lease: '4242', ignore_value: true })
    await refused(both, NOT_FOUND, 'etcdserver: requested lease not found')
    const given = raw.put({ key: key('none'), value: bytes('1'), lease: '4242', ignore_value: true })
    await refused(given, INVALID_ARGUMENT, 'etcdserver: value is provided')
  })

  tell('local', 'every byte may be in a key and in a value, and both sort by bytes', async ({ raw, key }) => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    const keys = Array.from({ length: 256 }, (_, i) => Buffer.concat([key(''), Buffer.from([i])]))
    const success = keys.map((k) => ({ request_put: { key: k, value: every } }))
    await raw.txn({ success: success.slice(0, 128) })
    await raw.txn({ success: success.slice(128) })
    const end = Buffer.concat([key('').subarray(0, -1), bytes('0')])
    const { kvs } = await raw.range({ key: key(''), range_end: end })
    assert.deepEqual(
      kvs.map((kv) => kv.key),
      keys,
    )
    assert(kvs.every((kv) => kv.value.equals(every)))
    const long = Buffer.concat([key(''), every, every])
    await raw.put({ key: long, value: Buffer.alloc(0), prev_kv: true })
    assert.deepEqual((await raw.range({ key: long })).kvs[0]?.key, long)
    assert.equal((await raw.delete({ key: long, range_end: end })).deleted, '256')
  })

  tell('both', 'an empty value is a value', async ({ raw, key }) => {
    await raw.put({ key: key('a'), value: Buffer.alloc(0) })
    await raw.put({ key: key('b') })
    const { kvs, count } = await raw.range(below(String(key(''))))
    assert.equal(count, '2')
    for (const { value, version } of kvs) assert.deepEqual([value.length, version], [0, '1'])
  })

  tell('local', 'a megabyte is stored and comes back', async ({ raw, key }) => {
    const value = Buffer.alloc(1_500_000, 'megabyte')
    await raw.put({ key: key('a'), value })
    assert((await raw.range({ key: key('a') })).kvs[0]?.value.equals(value))
  })

  tell('both', 'a delete takes one key, a range or a prefix, and counts', async ({ raw, key, prefix }) => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await raw.put({ key: key(name), value: bytes(name) })
    const before = await raw.revision()
    const one = await raw.delete({ key: key('a') })
    assert.deepEqual([one.deleted, one.prev_kvs, revisionOf(one)], ['1', [], before + 1])
    const range = await raw.delete({ key: key('b'), range_end: key('d'), prev_kv: true })
    assert.deepEqual([range.deleted, shown(range.prev_kvs, prefix)], ['2', ['b=b', 'c=c']])
    assert.equal(revisionOf(range), before + 2, 'all that one request deletes has one revision')
    const none = await raw.delete({ ...below(`${prefix}x`), prev_kv: true })
    assert.deepEqual([none.deleted, none.prev_kvs], ['0', []])
    assert.equal(revisionOf(none), before + 2, 'what deletes nothing has no revision of its own')
    const backwards = await raw.delete({ key: key('e'), range_end: key('a') })
    assert.equal(backwards.deleted, '0')
    assert.equal((await raw.delete(below(prefix))).deleted, '2')
    assert.equal((await raw.range({ ...below(prefix), count_only: true })).count, '0')
    const noKey = 'etcdserver: key is not provided'
    await refused(raw.delete({}), INVALID_ARGUMENT, noKey)
    await refused(raw.delete({ range_end: TO_THE_END }), INVALID_ARGUMENT, noKey)
  })

  tell('both', 'after a compaction the past before it is gone, the present is not', async (story) => {
    const { raw, key, prefix } = story
    const first = revisionOf(await raw.put({ key: key('a'), value: bytes('1') }))
    await raw.put({ key: key('b'), value: bytes('1') })
    await raw.put({ key: key('a'), value: bytes('2') })
    await raw.delete({ key: key('b') })
    await raw.put({ key: key('a'), value: bytes('3') })
    const compacted = await raw.compact({ revision: first + 2, physical: true })
    assert.equal(revisionOf(compacted), first + 4, 'a compaction has no revision of its own')
    const at = async (revision: number) =>
      shown((await raw.range({ ...below(prefix), revision })).kvs, prefix)
    await refused(at(first), OUT_OF_RANGE, COMPACTED)
    await refused(at(first + 1), OUT_OF_RANGE, COMPACTED)
    assert.deepEqual(await at(first + 2), ['a=2', 'b=1'], 'the revision compacted to is still there')
    assert.deepEqual(await at(first + 3), ['a=2'])
    assert.deepEqual(await at(0), ['a=3'])
    const { kvs } = await raw.range({ key: key('a') })
    assert.deepEqual(counters(kvs[0]), { created: first, modified: first + 4, version: 3, lease: '0' })
    const inside = raw.txn({ success: [{ request_range: { key: key('a'), revision: first } }] })
    await refused(inside, OUT_OF_RANGE, COMPACTED)
  })

  tell('local', 'a compaction goes forward, and no further than now', async ({ raw, key }) => {
    for (const value of ['1', '2', '3']) await raw.put({ key: key('a'), value: bytes(value) })
    const now = await raw.revision()
    await refused(raw.compact({ revision: now + 1 }), OUT_OF_RANGE, FUTURE)
    await raw.compact({ revision: now - 1 })
    await refused(raw.compact({ revision: now - 1 }), OUT_OF_RANGE, COMPACTED)
    await refused(raw.compact({ revision: now - 2 }), OUT_OF_RANGE, COMPACTED)
    await refused(raw.compact({ revision: 0 }), OUT_OF_RANGE, COMPACTED)
    await refused(raw.compact({ revision: -1 }), OUT_OF_RANGE, COMPACTED)
    await raw.compact({ revision: now })
    assert.equal(String((await raw.range({ key: key('a'), revision: now })).kvs[0]?.value), '3')
    const next = revisionOf(await raw.txn({ success: [putOp(key('a'), '4')] }))
    assert.equal(next, now + 1)
  })
})
