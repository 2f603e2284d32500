import assert from 'node:assert/strict'
import { onEveryBackend } from '../support/etcd-backend.ts'
import { PROGRESS_NOTIFY_MS } from '../support/etcd-cluster.ts'
import { revisionOf, type WatchAnswer } from '../support/etcd-raw.ts'
import { below, bytes, counters, deleteOp, putOp, TO_THE_END, told } from '../support/etcd-words.ts'

/** All that an answer says but its events and who sent it. */
function frame({ header, events, ...rest }: WatchAnswer) {
  return { revision: Number(header.revision), events: events.length, ...rest }
}
const PLAIN = { watch_id: '0', created: false, canceled: false, compact_revision: '0' }
const QUIET = { ...PLAIN, cancel_reason: '', fragment: false, events: 0 }

onEveryBackend('etcd: Watch', (tell) => {
  tell('both', 'a watch is told of what happens from now on', async ({ raw, key, prefix }) => {
    await raw.put({ key: key('a'), value: bytes('before') })
    const now = await raw.revision()
    const watch = raw.watch()
    assert.deepEqual(frame(await watch.create(below(prefix))), { ...QUIET, created: true, revision: now })
    await raw.put({ key: key('b'), value: bytes('1') })
    const put = await watch.next()
    assert.deepEqual(frame(put), { ...QUIET, events: 1, revision: now + 1 })
    assert.deepEqual(told(put.events, prefix), ['Put b=1'])
    const [created, modified] = [now + 1, now + 1]
    assert.deepEqual(counters(put.events[0]?.kv), { created, modified, version: 1, lease: '0' })
    assert.equal(put.events[0]?.prev_kv, null)
    await raw.delete({ key: key('b') })
    const gone = await watch.next()
    assert.deepEqual(told(gone.events, prefix), ['Delete b'])
    const nothing = { created: 0, modified: now + 2, version: 0, lease: '0' }
    assert.deepEqual(counters(gone.events[0]?.kv), nothing)
    assert.equal(gone.events[0]?.kv.value.length, 0)
    watch.cancel()
  })

  tell('both', 'a watch of one key, of a range, of all from a key on', async ({ raw, key, prefix }) => {
    const ranges = [
      { key: key('b') },
      { key: key('b'), range_end: key('d') },
      { key: key('c'), range_end: TO_THE_END },
      { ...below(prefix) },
    ]
    const watches = ranges.map(() => raw.watch())
    for (const [i, watch] of watches.entries()) await watch.create(ranges[i] ?? {})
    for (const name of ['a', 'b', 'c', 'd']) await raw.put({ key: key(name), value: bytes('1') })
    const seen = await Promise.all(
      watches.map(async (watch, i) => told(await watch.events([1, 2, 2, 4][i] as number), prefix).join()),
    )
    const [a, b, c, d] = ['Put a=1', 'Put b=1', 'Put c=1', 'Put d=1']
    assert.deepEqual(seen, [`${b}`, `${b},${c}`, `${c},${d}`, `${a},${b},${c},${d}`])
    for (const watch of watches) watch.cancel()
  })

  tell('both', 'a watch begins in the past where it is told to', async ({ raw, key, prefix }) => {
    const first = revisionOf(await raw.put({ key: key('a'), value: bytes('1') }))
    await raw.put({ key: key('a'), value: bytes('2') })
    await raw.delete({ key: key('a') })
    await raw.put({ key: key('b'), value: bytes('3') })
    const watch = raw.watch()
    const start_revision = first + 1
    const created = await watch.create({ ...below(prefix), start_revision, prev_kv: true })
    assert.deepEqual(frame(created), { ...QUIET, created: true, revision: first + 3 })
    await raw.put({ key: key('b'), value: bytes('4') })
    assert.deepEqual(told(await watch.events(4), prefix), [
      'Put a=2 was=1',
      'Delete a was=2',
      'Put b=3',
      'Put b=4 was=3',
    ])
    watch.cancel()
  })

  tell('local', 'a watch may begin in the future', async ({ raw, key, prefix }) => {
    const now = await raw.revision()
    const watch = raw.watch()
    const created = await watch.create({ ...below(prefix), start_revision: now + 3 })
    assert.deepEqual([created.created, created.canceled, revisionOf(created)], [true, false, now])
    for (const value of ['1', '2', '3', '4']) await raw.put({ key: key('a'), value: bytes(value) })
    assert.deepEqual(told(await watch.events(2), prefix), ['Put a=3', 'Put a=4'])
    watch.cancel()
  })

  tell('both', 'several watches on one stream, each with its number', async ({ raw, key, prefix }) => {
    const watch = raw.watch()
    const ids: string[] = []
    for (const request of [{ key: key('a') }, { key: key('b') }, below(prefix)]) {
      ids.push((await watch.create(request)).watch_id)
    }
    assert.deepEqual(ids, ['0', '1', '2'])
    await raw.put({ key: key('b'), value: bytes('1') })
    const both = [await watch.next(), await watch.next()]
    assert.deepEqual(both.map((answer) => answer.watch_id).toSorted(), ['1', '2'])
    for (const { events } of both) assert.deepEqual(told(events, prefix), ['Put b=1'])

    const canceled = await watch.ask({ cancel_request: { watch_id: '2' } })
    assert.deepEqual(frame(canceled), {
      ...QUIET,
      watch_id: '2',
      canceled: true,
      revision: await raw.revision(),
    })
    // A number that nobody has is not answered; the next answer is that of the watch that is left.
    watch.send({ cancel_request: { watch_id: '77' } })
    await raw.put({ key: key('b'), value: bytes('2') })
    const left = await watch.next()
    assert.deepEqual([left.watch_id, told(left.events, prefix)], ['1', ['Put b=2']])
    // Who has said all goes on to hear.
    watch.finish()
    await raw.put({ key: key('b'), value: bytes('3') })
    assert.deepEqual(told((await watch.next()).events, prefix), ['Put b=3'])
    watch.cancel()
  })

  tell('local', 'a watch may bring its own number, once', async ({ raw, key, prefix }) => {
    const watch = raw.watch()
    assert.equal((await watch.create({ key: key('a'), watch_id: 7 })).watch_id, '7')
    assert.equal((await watch.create({ key: key('a') })).watch_id, '0')
    const cancel_reason = 'mvcc: duplicate watch ID provided on the WatchStream'
    const twice = frame(await watch.create({ key: key('b'), watch_id: 7 }))
    const refusal = { ...QUIET, watch_id: '-1', created: true, canceled: true, cancel_reason }
    assert.deepEqual(twice, { ...refusal, revision: await raw.revision() })
    assert.equal((await watch.create({ key: key('b'), watch_id: 1 })).watch_id, '1')
    assert.equal((await watch.create({ key: key('b') })).watch_id, '2')
    await watch.ask({ cancel_request: { watch_id: '7' } })
    assert.equal((await watch.create({ key: key('c'), watch_id: 7 })).watch_id, '7')
    await raw.put({ key: key('c'), value: bytes('1') })
    const answer = await watch.next()
    assert.deepEqual([answer.watch_id, told(answer.events, prefix)], ['7', ['Put c=1']])
    watch.cancel()
  })

  tell('local', 'a watch of no range is refused and the stream goes on', async ({ raw, key }) => {
    const watch = raw.watch()
    const cancel_reason = 'mvcc: watcher range is empty'
    const refusal = { ...QUIET, watch_id: '-1', created: true, canceled: true, cancel_reason }
    const revision = await raw.revision()
    for (const range_end of [key('a'), key('b')]) {
      const answer = await watch.create({ key: key('b'), range_end })
      assert.deepEqual(frame(answer), { ...refusal, revision })
    }
    assert.equal((await watch.create({ key: key('b') })).canceled, false)
    watch.cancel()
  })

  tell(
    'local',
    'a watch without a key is one of the smallest key, or of all',
    async ({ raw, key, prefix }) => {
      const watch = raw.watch()
      assert.equal((await watch.create({})).canceled, false)
      assert.equal((await watch.create({ range_end: TO_THE_END })).watch_id, '1')
      await raw.put({ key: key('a'), value: bytes('1') })
      const answer = await watch.next()
      assert.deepEqual([answer.watch_id, told(answer.events, prefix)], ['1', ['Put a=1']])
      watch.cancel()
    },
  )

  tell('both', 'puts or deletes can be left out', async ({ raw, key, prefix }) => {
    const watch = raw.watch()
    await watch.create({ ...below(prefix), filters: ['Noput'] })
    await watch.create({ ...below(prefix), filters: ['Nodelete'] })
    await watch.create({ ...below(prefix), filters: ['Nodelete', 'Noput'] })
    await raw.put({ key: key('a'), value: bytes('1') })
    const put = await watch.next()
    assert.deepEqual([put.watch_id, told(put.events, prefix)], ['1', ['Put a=1']])
    await raw.delete({ key: key('a') })
    const gone = await watch.next()
    assert.deepEqual([gone.watch_id, told(gone.events, prefix)], ['0', ['Delete a']])
    watch.cancel()
  })

  tell('local', 'what one transaction did comes in one answer, in its order', async (story) => {
    const { raw, key, prefix } = story
    await raw.put({ key: key('gone'), value: bytes('0') })
    const watch = raw.watch()
    await watch.create({ ...below(prefix), prev_kv: true })
    const success = [
      putOp(key('z'), '1'),
      deleteOp({ key: key('gone') }),
      putOp(key('a'), '2'),
      { request_txn: { success: [putOp(key('m'), '3')] } },
    ]
    const revision = revisionOf(await raw.txn({ success }))
    await raw.delete(below(prefix))
    const one = await watch.next()
    assert.deepEqual(told(one.events, prefix), ['Put z=1', 'Delete gone was=0', 'Put a=2', 'Put m=3'])
    assert.equal(revisionOf(one), revision)
    assert(one.events.every((event) => Number(event.kv.mod_revision) === revision))
    const two = await watch.next()
    assert.deepEqual(told(two.events, prefix), ['Delete a was=2', 'Delete m was=3', 'Delete z was=1'])
    const past = raw.watch()
    await past.create({ ...below(prefix), start_revision: revision })
    const again = await past.events(7)
    assert.deepEqual(
      again.map(({ kv }) => Number(kv.mod_revision) - revision),
      [0, 0, 0, 0, 1, 1, 1],
    )
    assert.deepEqual(told(again, prefix).slice(0, 4), ['Put z=1', 'Delete gone', 'Put a=2', 'Put m=3'])
    watch.cancel()
    past.cancel()
  })

  tell('both', 'a watch from before the compaction says where it could begin', async (story) => {
    const { raw, key, prefix } = story
    const first = revisionOf(await raw.put({ key: key('a'), value: bytes('1') }))
    for (const value of ['2', '3', '4']) await raw.put({ key: key('a'), value: bytes(value) })
    await raw.compact({ revision: first + 2, physical: true })
    const watch = raw.watch()
    const created = await watch.create({ ...below(prefix), start_revision: first })
    assert.deepEqual(frame(created), { ...QUIET, created: true, revision: first + 3 })
    const compact_revision = `${first + 2}`
    const refusal = { ...QUIET, canceled: true, compact_revision, revision: 0 }
    assert.deepEqual(frame(await watch.next()), refusal, 'the compaction says enough; there is no reason')
    const start_revision = first + 2
    const second = await watch.create({ ...below(prefix), start_revision, prev_kv: true })
    assert.deepEqual([second.watch_id, second.canceled], ['1', false])
    // What was before the oldest kept change is not known any more.
    assert.deepEqual(told(await watch.events(2), prefix), ['Put a=3', 'Put a=4 was=3'])
    watch.cancel()
  })

  tell('both', 'who asks for progress is told how far the stream is', async ({ raw, key, prefix }) => {
    const watch = raw.watch()
    await watch.create(below(prefix))
    await raw.put({ key: key('a'), value: bytes('1') })
    await watch.next()
    const now = revisionOf(await raw.put({ key: Buffer.from('/local/elsewhere'), value: bytes('1') }))
    const progress = await watch.ask({ progress_request: {} })
    assert.deepEqual(frame(progress), { ...QUIET, watch_id: '-1', revision: now })
    watch.cancel()
  })

  tell('both', 'who wants to be told of progress is told when it is quiet', async ({ raw, key, prefix }) => {
    const watch = raw.watch()
    const { watch_id } = await watch.create({ ...below(prefix), progress_notify: true })
    await raw.put({ key: key('a'), value: bytes('1') })
    assert.deepEqual(told((await watch.next()).events, prefix), ['Put a=1'])
    const now = revisionOf(await raw.put({ key: Buffer.from('/local/elsewhere'), value: bytes('2') }))
    for (let i = 0; i < 2; i++) {
      const notice = await watch.next()
      assert.deepEqual(frame(notice), { ...QUIET, watch_id, revision: now }, `every ${PROGRESS_NOTIFY_MS} ms`)
    }
    watch.cancel()
  })

  tell('local', 'a large answer comes in fragments to who asks for them', async ({ raw, key, prefix }) => {
    const large = (letter: string) => letter.repeat(700_000)
    for (const name of ['a', 'b']) await raw.put({ key: key(name), value: bytes(large('o')) })
    const [whole, parts] = [raw.watch(), raw.watch()]
    await whole.create({ ...below(prefix), prev_kv: true })
    await parts.create({ ...below(prefix), prev_kv: true, fragment: true })
    const revision = revisionOf(
      await raw.txn({ success: [putOp(key('a'), large('n')), putOp(key('b'), large('n'))] }),
    )
    assert.deepEqual(frame(await whole.next()), { ...QUIET, events: 2, revision })
    const first = await parts.next()
    assert.deepEqual(frame(first), { ...QUIET, events: 1, fragment: true, revision })
    const last = await parts.next()
    assert.deepEqual(frame(last), { ...QUIET, events: 1, revision })
    assert.deepEqual(
      [first, last].map(({ events }) => String(events[0]?.kv.key)),
      [`${prefix}a`, `${prefix}b`],
    )
    whole.cancel()
    parts.cancel()
  })
})
