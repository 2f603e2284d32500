import assert from 'node:assert/strict'
import { status } from '@grpc/grpc-js'
import type { ICompare, IRequestOp } from 'etcd3'
import { onEveryBackend, type Story } from '../support/etcd-backend.ts'
import { refused, revisionOf } from '../support/etcd-raw.ts'
import {
  below,
  bytes,
  compare,
  counters,
  deleteOp,
  putOp,
  rangeOp,
  shown,
  TO_THE_END,
} from '../support/etcd-words.ts'

const { INVALID_ARGUMENT, NOT_FOUND, OUT_OF_RANGE } = status
const RESULTS = ['Equal', 'NotEqual', 'Less', 'Greater'] as const
/** The operators that hold when the key's figure is less than, the same as, greater than what it is compared with. */
const HOLDS = {
  less: ['NotEqual', 'Less'],
  same: ['Equal'],
  greater: ['NotEqual', 'Greater'],
} as const

async function holds({ raw }: Story, ...comparisons: ICompare[]): Promise<boolean> {
  const { succeeded, responses } = await raw.txn({ compare: comparisons })
  assert.deepEqual(responses, [])
  return succeeded
}

onEveryBackend('etcd: Txn', (tell) => {
  tell('local', 'every figure of a key is compared by every operator', async (story) => {
    const { raw, key } = story
    const a = key('a')
    const { ID } = await raw.grant({ TTL: 60, ID: '1000' })
    const created = revisionOf(await raw.put({ key: a, value: bytes('l'), lease: ID }))
    await raw.put({ key: a, value: bytes('m'), lease: ID })
    const figures: Record<string, (by: number) => Parameters<typeof compare>[2]> = {
      Version: (by) => ({ version: 2 - by }),
      Create: (by) => ({ create_revision: created - by }),
      Mod: (by) => ({ mod_revision: created + 1 - by }),
      Lease: (by) => ({ lease: `${1000 - by}` }),
      Value: (by) => ({ value: bytes(String.fromCharCode(109 - by)) }),
    }
    for (const [target, figure] of Object.entries(figures)) {
      for (const [by, expected] of [HOLDS.less, HOLDS.same, HOLDS.greater].entries()) {
        for (const result of RESULTS) {
          const comparison = { ...figure(by - 1), target, result, key: a } as ICompare
          const should = (expected as readonly string[]).includes(result)
          assert.equal(await holds(story, comparison), should, `${target} ${result} by ${by - 1}`)
        }
      }
    }
    await raw.revoke(ID)
  })

  tell('local', 'a key that is not there compares as nothing, and its value as no value', async (story) => {
    const key = story.key('none')
    assert(await holds(story, compare('Version', 'Equal', { key, version: 0 })))
    assert(await holds(story, compare('Create', 'Equal', { key, create_revision: 0 })))
    assert(await holds(story, compare('Mod', 'Less', { key, mod_revision: 1 })))
    assert(await holds(story, compare('Lease', 'Equal', { key, lease: '0' })))
    for (const result of RESULTS) {
      assert.equal(await holds(story, compare('Value', result, { key, value: bytes('') })), false, result)
    }
    assert(await holds(story, { key }), 'a comparison that says nothing asks for version 0')
  })

  tell('local', 'values compare by their bytes', async (story) => {
    const { raw, key } = story
    await raw.put({ key: key('a'), value: Buffer.from([0xff]) })
    const value = (result: 'Greater' | 'Less', against: Buffer) =>
      holds(story, compare('Value', result, { key: key('a'), value: against }))
    assert(await value('Greater', Buffer.from([0x7f])))
    assert(await value('Greater', Buffer.from([0xfe, 0xff])))
    assert(await value('Less', Buffer.from([0xff, 0x00])))
    assert(await value('Greater', Buffer.alloc(0)))
  })

  tell('local', 'a comparison of a range holds when it holds for every key of it', async (story) => {
    const { raw, key, prefix } = story
    await raw.put({ key: key('a'), value: bytes('1') })
    await raw.put({ key: key('b'), value: bytes('1') })
    await raw.put({ key: key('b'), value: bytes('2') })
    const all = below(prefix)
    assert(await holds(story, compare('Version', 'Greater', { ...all, version: 0 })))
    assert(!(await holds(story, compare('Version', 'Equal', { ...all, version: 1 }))))
    const first = { key: key('a'), range_end: key('b') }
    assert(await holds(story, compare('Version', 'Equal', { ...first, version: 1 })))
    assert(await holds(story, compare('Value', 'NotEqual', { ...all, value: bytes('3') })))
    const none = below(`${prefix}x`)
    assert(await holds(story, compare('Version', 'Equal', { ...none, version: 0 })))
    assert(!(await holds(story, compare('Value', 'NotEqual', { ...none, value: bytes('3') }))))
    const tail = { key: key('b'), range_end: TO_THE_END }
    assert(await holds(story, compare('Mod', 'Greater', { ...tail, mod_revision: 0 })))
  })

  tell('local', 'all comparisons must hold; then this is done, otherwise that', async (story) => {
    const { raw, key, prefix } = story
    const [a, b] = [key('a'), key('b')]
    const missing = (name: Buffer) => compare('Version', 'Equal', { key: name, version: 0 })
    const success = [putOp(a, 'first')]
    const failure = [rangeOp({ key: a }), putOp(b, 'second')]
    const before = await raw.revision()
    const done = await raw.txn({ compare: [missing(a), missing(b)], success, failure })
    assert.equal(done.succeeded, true)
    assert.deepEqual(
      done.responses.map((r) => Object.keys(r)),
      [['response_put']],
    )
    assert.equal(revisionOf(done), before + 1)
    const other = await raw.txn({ compare: [missing(b), missing(a)], success, failure })
    assert.equal(other.succeeded, false)
    assert.deepEqual(shown(other.responses[0]?.response_range.kvs ?? [], prefix), ['a=first'])
    assert.deepEqual(shown((await raw.range(below(prefix))).kvs, prefix), ['a=first', 'b=second'])
    const neither = await raw.txn({ compare: [missing(a)], success })
    assert.deepEqual([neither.succeeded, neither.responses, revisionOf(neither)], [false, [], before + 2])
  })

  tell('both', 'all that one transaction writes has one revision', async ({ raw, key, prefix }) => {
    await raw.put({ key: key('gone'), value: bytes('0') })
    const before = await raw.revision()
    const answer = await raw.txn({
      success: [putOp(key('a'), '1'), putOp(key('b'), '2'), deleteOp({ key: key('gone'), prev_kv: true })],
    })
    assert.equal(revisionOf(answer), before + 1)
    assert.equal(answer.succeeded, true, 'nothing to compare holds')
    const { deleted, prev_kvs } = answer.responses[2]?.response_delete_range ?? assert.fail()
    assert.deepEqual([deleted, shown(prev_kvs, prefix)], ['1', ['gone=0']])
    const { kvs } = await raw.range(below(prefix))
    const expected = { created: before + 1, modified: before + 1, version: 1, lease: '0' }
    assert.deepEqual(kvs.map(counters), [expected, expected])
  })

  tell('local', 'what an operation did is seen by those after it', async ({ raw, key, prefix }) => {
    await raw.put({ key: key('a'), value: bytes('old') })
    const before = await raw.revision()
    const all = rangeOp(below(prefix))
    const answer = await raw.txn({
      success: [all, putOp(key('a'), 'new'), all, putOp(key('b'), '2'), deleteOp({ key: key('c') }), all],
    })
    const seen = [0, 2, 5].map((i) => shown(answer.responses[i]?.response_range.kvs ?? [], prefix))
    assert.deepEqual(seen, [['a=old'], ['a=new'], ['a=new', 'b=2']])
    const headers = answer.responses.map((response) => Object.values(response)[0]?.header)
    const revisions = [before, before + 1, before + 1, before + 1, before + 1, before + 1]
    const cluster_id = '0'
    const rest = { cluster_id, member_id: '0', raft_term: '0' }
    assert.deepEqual(
      headers,
      revisions.map((revision) => ({ ...rest, revision: `${revision}` })),
    )
  })

  tell('local', 'a range in a transaction has all its options', async ({ raw, key, prefix }) => {
    for (const name of ['a', 'b', 'c']) await raw.put({ key: key(name), value: bytes('1') })
    const before = await raw.revision()
    const all = below(prefix)
    const ranges = [
      { ...all, limit: 2 },
      { ...all, sort_order: 'Descend', limit: 1 },
      { ...all, count_only: true },
      { ...all, keys_only: true },
      { ...all, revision: before },
      { ...all, revision: before - 1 },
      { ...all, min_mod_revision: before, serializable: true },
    ] as const
    const { responses } = await raw.txn({ success: [putOp(key('d'), '2'), ...ranges.map(rangeOp)] })
    const seen = responses.slice(1).map(({ response_range: { kvs, count, more } }) => {
      return `${shown(kvs, prefix)} of ${count}${more ? ' and more' : ''}`
    })
    assert.deepEqual(seen, [
      'a=1,b=1 of 4 and more',
      'd=2 of 4 and more',
      ' of 4',
      'a=,b=,c=,d= of 4',
      'a=1,b=1,c=1 of 3',
      'a=1,b=1 of 2',
      'c=1,d=2 of 4',
    ])
  })

  tell('local', 'a transaction that only reads has no revision of its own', async ({ raw, key }) => {
    const before = revisionOf(await raw.put({ key: key('a'), value: bytes('1') }))
    const answer = await raw.txn({ success: [rangeOp({ key: key('a') }), deleteOp({ key: key('b') })] })
    assert.equal(revisionOf(answer), before)
    assert.equal(await raw.revision(), before)
    const empty = await raw.txn({})
    assert.deepEqual([empty.succeeded, empty.responses, revisionOf(empty)], [true, [], before])
  })

  tell('local', 'transactions stand in transactions', async ({ raw, key, prefix }) => {
    const [a, b, c] = [key('a'), key('b'), key('c')]
    const is = (k: Buffer, value: string) => compare('Value', 'Equal', { key: k, value: bytes(value) })
    const before = await raw.revision()
    const inner = (k: Buffer): IRequestOp => ({
      request_txn: {
        compare: [is(k, '1')],
        success: [putOp(c, 'yes'), rangeOp(below(prefix))],
        failure: [putOp(c, 'no')],
      },
    })
    // The comparisons of an inner transaction are made before anything is written.
    const first = await raw.txn({ success: [putOp(a, '1'), inner(a)] })
    assert.equal(first.responses[1]?.response_txn.succeeded, false)
    assert.equal(revisionOf(first), before + 1)
    const second = await raw.txn({ success: [putOp(b, '2'), inner(a)] })
    const { succeeded, responses, header } = second.responses[1]?.response_txn ?? assert.fail()
    assert.equal(succeeded, true)
    assert.equal(header.revision, '0', 'an inner header is there and says nothing')
    assert.deepEqual(shown(responses[1]?.response_range.kvs ?? [], prefix), ['a=1', 'b=2', 'c=yes'])
    const { kvs } = await raw.range({ key: c })
    const [created, modified] = [before + 1, before + 2]
    assert.deepEqual(counters(kvs[0]), { created, modified, version: 2, lease: '0' })
  })

  tell(
    'local',
    'no key is put twice, nor put and deleted, in one transaction',
    async ({ raw, key, prefix }) => {
      const twice = async (...success: IRequestOp[]) => {
        const words = 'etcdserver: duplicate key given in txn request'
        await refused(raw.txn({ success }), INVALID_ARGUMENT, words)
        const compareFails = [compare('Version', 'Less', { key: key('a'), version: 0 })]
        const failure = success
        await refused(raw.txn({ compare: compareFails, failure }), INVALID_ARGUMENT, words)
      }
      const put = putOp(key('a'), '1')
      await twice(put, put)
      await twice(put, deleteOp({ key: key('a') }))
      await twice(deleteOp(below(prefix)), put)
      await twice(put, { request_txn: { success: [put] } })
      await twice({ request_txn: { success: [put] } }, { request_txn: { failure: [put] } })
      await twice({ request_txn: { failure: [deleteOp(below(prefix))] } }, put)
      const either = { request_txn: { success: [put], failure: [put] } }
      assert.equal((await raw.txn({ success: [either] })).succeeded, true)
      const again = deleteOp(below(prefix))
      const deletes = await raw.txn({ success: [again, again] })
      assert.deepEqual(
        deletes.responses.map((r) => r.response_delete_range.deleted),
        ['1', '0'],
      )
    },
  )

  tell('local', 'a transaction has at most 128 of everything', async ({ raw, key }) => {
    const words = 'etcdserver: too many operations in txn request'
    const puts = Array.from({ length: 129 }, (_, i) => putOp(key(`${i}`), 'x'))
    const compares = puts.map((_, i) => compare('Version', 'Equal', { key: key(`${i}`), version: 0 }))
    await refused(raw.txn({ success: puts }), INVALID_ARGUMENT, words)
    await refused(raw.txn({ failure: puts }), INVALID_ARGUMENT, words)
    await refused(raw.txn({ compare: compares }), INVALID_ARGUMENT, words)
    await refused(raw.txn({ success: [{ request_txn: { success: puts } }] }), INVALID_ARGUMENT, words)
    const most = { compare: compares.slice(1), success: puts.slice(1), failure: puts.slice(1) }
    assert.equal((await raw.txn(most)).responses.length, 128)
  })

  tell('local', 'a transaction with anything impossible in it does nothing at all', async ({ raw, key }) => {
    const before = await raw.revision()
    const put = putOp(key('a'), '1')
    const bad = (op: IRequestOp, code: status, words: string) =>
      refused(raw.txn({ success: [put, op] }), code, words)
    const noKey = 'etcdserver: key is not provided'
    await bad(putOp(Buffer.alloc(0), '1'), INVALID_ARGUMENT, noKey)
    await bad(rangeOp({}), INVALID_ARGUMENT, noKey)
    await bad(deleteOp({}), INVALID_ARGUMENT, noKey)
    await bad({ request_txn: { success: [rangeOp({})] } }, INVALID_ARGUMENT, noKey)
    await refused(raw.txn({ compare: [{ target: 'Version' }] }), INVALID_ARGUMENT, noKey)
    await bad({}, INVALID_ARGUMENT, 'etcdserver: key not found')
    const lost = { request_put: { key: key('b'), lease: '4242' } }
    await bad(lost, NOT_FOUND, 'etcdserver: requested lease not found')
    const given = { request_put: { key: key('b'), value: bytes('1'), ignore_value: true } }
    await bad(given, INVALID_ARGUMENT, 'etcdserver: value is provided')
    const missing = { request_put: { key: key('b'), ignore_value: true } }
    await bad(missing, INVALID_ARGUMENT, 'etcdserver: key not found')
    const future = 'etcdserver: mvcc: required revision is a future revision'
    await bad(rangeOp({ key: key('b'), revision: before + 9 }), OUT_OF_RANGE, future)
    assert.equal(await raw.revision(), before)
    assert.deepEqual((await raw.range({ key: key('a') })).kvs, [])
  })

  tell(
    'local',
    'of several reasons against a transaction those of its puts come first',
    async ({ raw, key }) => {
      const future = rangeOp({ key: key('a'), revision: (await raw.revision()) + 9 })
      const lost = { request_put: { key: key('b'), lease: '4242' } }
      const noLease = 'etcdserver: requested lease not found'
      await refused(raw.txn({ success: [future, lost] }), NOT_FOUND, noLease)
      const within = { request_txn: { success: [lost] } }
      await refused(raw.txn({ success: [future, within] }), NOT_FOUND, noLease)
      const both = { request_put: { key: key('b'), lease: '4242', ignore_value: true } }
      await refused(raw.txn({ success: [both] }), INVALID_ARGUMENT, 'etcdserver: key not found')
    },
  )

  tell('local', 'an inner transaction has what the outer one leaves of 128', async ({ raw, key }) => {
    const puts = Array.from({ length: 128 }, (_, i) => putOp(key(`${i}`), 'x'))
    const split = (outer: number, inner: number) =>
      raw.txn({
        success: [...puts.slice(0, outer), { request_txn: { success: puts.slice(outer, outer + inner) } }],
      })
    assert.equal((await split(64, 63)).responses.length, 65)
    const words = 'etcdserver: too many operations in txn request'
    await refused(split(64, 64), INVALID_ARGUMENT, words)
    await refused(split(127, 1), INVALID_ARGUMENT, words)
  })
})
