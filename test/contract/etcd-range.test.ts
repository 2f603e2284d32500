import assert from 'node:assert/strict'
import { status } from '@grpc/grpc-js'
import { onEveryBackend, type Story } from '../support/etcd-backend.ts'
import { refused, revisionOf } from '../support/etcd-raw.ts'
import { below, bytes, counters, shown, TO_THE_END } from '../support/etcd-words.ts'

const SORTS = {
  Key: ['a', 'b', 'c'],
  Value: ['b', 'c', 'a'],
  Version: ['c', 'a', 'b'],
  Create: ['b', 'a', 'c'],
  Mod: ['a', 'c', 'b'],
} as const

/** Three keys that every target sorts another way. @returns the revision before them */
async function threeKeys({ raw, key }: Story): Promise<number> {
  const before = await raw.revision()
  // b is the oldest key and the last changed.
  for (const write of ['b=0', 'a=8', 'a=9', 'c=2', 'b=0', 'b=1']) {
    const [name = '', value = ''] = write.split('=')
    await raw.put({ key: key(name), value: bytes(value) })
  }
  return before
}

const namesOf = (lines: readonly string[]) => lines.map((line) => line.split('=')[0])

onEveryBackend('etcd: Range', (tell) => {
  // The first story of all: nobody has written yet.
  tell('local', 'an empty store is at revision one at least, never at none', async ({ raw }) => {
    assert((await raw.revision()) >= 1)
  })

  tell('both', 'one key, a range, a prefix, from a key on, and all', async (story) => {
    const { raw, prefix, key } = story
    await threeKeys(story)
    const range = async (request: Parameters<typeof raw.range>[0]) =>
      shown((await raw.range(request)).kvs, prefix)
    assert.deepEqual(await range({ key: key('a') }), ['a=9'])
    assert.deepEqual(await range({ key: key('') }), [])
    assert.deepEqual(await range({ key: key('a'), range_end: key('c') }), ['a=9', 'b=1'])
    assert.deepEqual(await range({ key: key('a'), range_end: key('a') }), [])
    assert.deepEqual(await range({ key: key('c'), range_end: key('a') }), [])
    assert.deepEqual(await range(below(prefix)), ['a=9', 'b=1', 'c=2'])
    assert.deepEqual(
      (await range({ key: key('b'), range_end: TO_THE_END })).filter((line) => !line.startsWith('/')),
      ['b=1', 'c=2'],
    )
    const all = await raw.range({ key: Buffer.from([0]), range_end: TO_THE_END })
    const ours = shown(all.kvs, prefix).filter((line) => !line.startsWith('/'))
    assert.deepEqual(ours, ['a=9', 'b=1', 'c=2'])
    assert.equal(Number(all.count), all.kvs.length)
    const keys = all.kvs.map((kv) => kv.key)
    assert.deepEqual(keys, keys.toSorted(Buffer.compare), 'keys come sorted by their bytes')
  })

  tell('both', 'a limit cuts, and more and count say what was cut', async (story) => {
    const { raw, prefix } = story
    await threeKeys(story)
    const range = async (limit: number) => {
      const { kvs, more, count } = await raw.range({ ...below(prefix), limit })
      return { kvs: shown(kvs, prefix), more, count }
    }
    assert.deepEqual(await range(2), { kvs: ['a=9', 'b=1'], more: true, count: '3' })
    assert.deepEqual(await range(3), { kvs: ['a=9', 'b=1', 'c=2'], more: false, count: '3' })
    assert.deepEqual(await range(0), { kvs: ['a=9', 'b=1', 'c=2'], more: false, count: '3' })
    assert.deepEqual(await range(-1), { kvs: ['a=9', 'b=1', 'c=2'], more: false, count: '3' })
  })

  for (const [target, ascending] of Object.entries(SORTS) as [keyof typeof SORTS, readonly string[]][]) {
    tell('both', `sorted by ${target}, both ways, and cut after sorting`, async (story) => {
      const { raw, prefix } = story
      await threeKeys(story)
      const sorted = async (sort_order: 'None' | 'Ascend' | 'Descend', limit = 0) => {
        const { kvs, more } = await raw.range({ ...below(prefix), sort_target: target, sort_order, limit })
        return { names: namesOf(shown(kvs, prefix)), more }
      }
      assert.deepEqual(await sorted('Ascend'), { names: ascending, more: false })
      assert.deepEqual(await sorted('Descend'), { names: ascending.toReversed(), more: false })
      assert.deepEqual(await sorted('Ascend', 2), { names: ascending.slice(0, 2), more: true })
      assert.deepEqual(await sorted('Descend', 1), { names: ascending.slice(2), more: true })
      assert.deepEqual(await sorted('None'), { names: ascending, more: false })
    })
  }

  tell('local', 'without an order a limit cuts before it is sorted, one key too late', async (story) => {
    const { raw, prefix, key } = story
    for (const name of ['d', 'c', 'b', 'a']) await raw.put({ key: key(name), value: bytes('1') })
    const range = async (limit: number, sort_order: 'None' | 'Ascend') => {
      const { kvs, more } = await raw.range({ ...below(prefix), sort_target: 'Create', sort_order, limit })
      return `${namesOf(shown(kvs, prefix))}${more ? ' and more' : ''}`
    }
    assert.equal(await range(1, 'None'), 'b and more')
    assert.equal(await range(2, 'None'), 'c,b and more')
    assert.equal(await range(3, 'None'), 'd,c,b and more')
    assert.equal(await range(1, 'Ascend'), 'd and more')
  })

  tell('both', 'keys alone, and their number alone', async (story) => {
    const { raw, prefix } = story
    await threeKeys(story)
    const keys = await raw.range({ ...below(prefix), keys_only: true })
    assert.deepEqual(shown(keys.kvs, prefix), ['a=', 'b=', 'c='])
    assert.equal(keys.kvs[0]?.version, '2')
    const byValue = { sort_target: 'Value', sort_order: 'Descend' } as const
    const sorted = await raw.range({ ...below(prefix), keys_only: true, ...byValue })
    assert.deepEqual(shown(sorted.kvs, prefix), ['a=', 'c=', 'b='])
    const count = await raw.range({ ...below(prefix), count_only: true })
    assert.deepEqual(
      { kvs: count.kvs, more: count.more, count: count.count },
      { kvs: [], more: false, count: '3' },
    )
    const limited = await raw.range({ ...below(prefix), count_only: true, limit: 1 })
    assert.deepEqual([limited.kvs, limited.count, limited.more], [[], '3', false])
  })

  tell('both', 'bounds on the revisions of keys; the count is of those before the bounds', async (story) => {
    const { raw, prefix } = story
    const before = await threeKeys(story)
    const range = async (request: object) => {
      const { kvs, count, more } = await raw.range({ ...below(prefix), ...request })
      return `${namesOf(shown(kvs, prefix)).join('')} of ${count}${more ? ' and more' : ''}`
    }
    // Created: b 1, a 2, c 4. Modified: a 3, c 4, b 6.
    assert.equal(await range({ min_mod_revision: before + 4 }), 'bc of 3')
    assert.equal(await range({ max_mod_revision: before + 4 }), 'ac of 3')
    assert.equal(await range({ min_mod_revision: before + 4, max_mod_revision: before + 5 }), 'c of 3')
    assert.equal(await range({ min_create_revision: before + 2 }), 'ac of 3')
    assert.equal(await range({ max_create_revision: before + 2 }), 'ab of 3')
    assert.equal(await range({ min_create_revision: before + 2, max_mod_revision: before + 3 }), 'a of 3')
    assert.equal(await range({ min_mod_revision: before + 4, limit: 1 }), 'b of 3 and more')
    assert.equal(await range({ min_mod_revision: before + 9 }), ' of 3')
  })

  tell('both', 'the past is read at its revision', async (story) => {
    const { raw, prefix, key } = story
    const before = await threeKeys(story)
    const gone = revisionOf(await raw.delete({ key: key('a') }))
    const at = async (revision: number) => {
      const answer = await raw.range({ ...below(prefix), revision })
      assert.equal(revisionOf(answer), gone, 'the header says where the store is now')
      assert.equal(Number(answer.count), answer.kvs.length)
      return shown(answer.kvs, prefix)
    }
    assert.deepEqual(await at(before + 1), ['b=0'])
    assert.deepEqual(await at(before + 2), ['a=8', 'b=0'])
    assert.deepEqual(await at(before + 4), ['a=9', 'b=0', 'c=2'])
    assert.deepEqual(await at(before + 6), ['a=9', 'b=1', 'c=2'])
    assert.deepEqual(await at(gone), ['b=1', 'c=2'])
    assert.deepEqual(await at(0), ['b=1', 'c=2'])
    assert.deepEqual(await at(-5), ['b=1', 'c=2'])
    const { kvs } = await raw.range({ key: key('b'), revision: before + 5 })
    const lease = '0'
    assert.deepEqual(counters(kvs[0]), { created: before + 1, modified: before + 5, version: 2, lease })
  })

  tell('both', 'a serializable read answers the same', async ({ raw, key }) => {
    const put = await raw.put({ key: key('a'), value: bytes('1') })
    const answer = await raw.range({ key: key('a'), serializable: true })
    assert.equal(revisionOf(answer), revisionOf(put))
    assert.equal(String(answer.kvs[0]?.value), '1')
  })

  tell('local', 'the header says who answered, and where', async ({ raw, key }) => {
    const { header } = await raw.put({ key: key('a'), value: bytes('1') })
    assert.match(String(header.cluster_id), /^[1-9]\d*$/)
    assert.match(String(header.member_id), /^[1-9]\d*$/)
    assert.match(String(header.raft_term), /^[1-9]\d*$/)
    const again = await raw.range({ key: key('a') })
    assert.deepEqual(again.header, header)
  })

  tell('both', 'what cannot be read is refused', async ({ raw, key }) => {
    const { OUT_OF_RANGE, INVALID_ARGUMENT } = status
    const now = revisionOf(await raw.put({ key: key('a'), value: bytes('1') }))
    const future = 'etcdserver: mvcc: required revision is a future revision'
    await refused(raw.range({ key: key('a'), revision: now + 1 }), OUT_OF_RANGE, future)
    await refused(raw.range({ key: key('z'), revision: now + 1, count_only: true }), OUT_OF_RANGE, future)
    const noKey = 'etcdserver: key is not provided'
    await refused(raw.range({}), INVALID_ARGUMENT, noKey)
    await refused(raw.range({ range_end: TO_THE_END }), INVALID_ARGUMENT, noKey)
  })

  tell('local', 'a thousand keys and more come in one answer, in order', async ({ raw, prefix, key }) => {
    const many = 1_500
    const nameAt = (i: number) => `k${String(i).padStart(5, '0')}`
    for (let from = 0; from < many; from += 100) {
      const success = Array.from({ length: 100 }, (_, i) => ({
        request_put: { key: key(nameAt(from + i)), value: bytes(`${from + i}`) },
      }))
      await raw.txn({ success })
    }
    const { kvs, count } = await raw.range(below(prefix))
    assert.equal(count, `${many}`)
    assert.deepEqual(
      shown(kvs, prefix),
      Array.from({ length: many }, (_, i) => `${nameAt(i)}=${i}`),
    )
    const page = await raw.range({ ...below(prefix), limit: 10, sort_order: 'Descend' })
    assert.equal(shown(page.kvs, prefix)[9], `${nameAt(many - 10)}=${many - 10}`)
  })
})
